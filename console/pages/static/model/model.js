// The page Model.

import { byId, fill, make } from "../dom.js";
import { percent } from "../figures/svg.js";
import { Refused, ask, watch } from "../server.js";
import { showCalibration } from "./calibration.js";
import { showDrift } from "./drift.js";
import { markdown } from "./markdown.js";
import { showProbes } from "./probes.js";
import { showRegistry } from "./registry.js";

const LOOKS_MS = 60_000;
let figures = null;

/** Fills a part, or says in it why there is none. */
async function part(id, path, show) {
  try {
    show(await ask(path));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    fill(byId(id), make("p", { class: "note bad" }, error.message));
  }
}

const drift = () => part("drift", `/model/drift?hours=${byId("hours").value}`, (answer) => showDrift(answer, figures.categories));

function showShadow(found) {
  const place = byId("shadow");
  if (found.state === "none") return fill(place, make("p", { class: "hint" }, "No shadow bundle has judged in the last 24 hours. ", make("code", {}, "MODERATION_SHADOW__MODEL_PATH"), " lets workers run one beside the served bundle."));
  if (found.state === "away") return fill(place, make("p", { class: "note bad" }, found.error));
  const share = (name, title) => (found[name] === null ? null : make("div", {}, make("dt", {}, title), make("dd", {}, percent(found[name].value, 2)),
    make("dd", { class: "more" }, `${found[name].n.toLocaleString("en")} of ${found[name].of.toLocaleString("en")}; 95 %: ${found[name].interval.map((bound) => percent(bound, 2)).join(" to ")}`)));
  return fill(place,
    make("dl", { class: "numbers" }, share("decision", "Same decision"), share("category", "Same category"),
      found.mean_abs_difference === null ? null : make("div", {}, make("dt", {}, "Banned probability"), make("dd", {}, `± ${found.mean_abs_difference.toFixed(3)}`), make("dd", { class: "more" }, "mean absolute difference"))),
    found.n_compared === 0 && make("p", { class: "note" }, "Its verdicts answer no record that a live verdict of that time answers."),
    found.moves.length > 0 && make("ul", { class: "moves", "aria-label": "Decisions that differ" }, ...found.moves.map((move) => make("li", {},
      make("b", { "data-decision": move.old }, move.old), " → ", make("b", { "data-decision": move.new }, move.new), `: ${move.n.toLocaleString("en")}`))),
    make("p", { class: "hint" }, `Shadow ${found.shadow_digest.slice(0, 19)} against ${found.live_digests.map((one) => one.slice(0, 19)).join(", ") || "no live verdict"}, on ${found.n_compared.toLocaleString("en")} records that both answered since ${new Date(found.since_ms).toISOString().slice(0, 16).replace("T", " ")} UTC. From the newest records of the shadow topic and the verdict topic. `, make("code", {}, "python -m worker shadow-report"), " tells more."));
}

async function begin() {
  watch();
  figures = await ask("/model/figures");
  const { model, taxonomy } = figures;
  byId("subject").textContent = `${model.name} ${model.version}, ${model.digest.slice(0, 19)}. Taxonomy ${taxonomy.name} ${taxonomy.version}.`;
  showCalibration(figures);
  showProbes(figures.probes);
  fill(byId("card"), ...markdown(figures.card));
  byId("hours").addEventListener("change", drift);
  setInterval(() => { if (!document.hidden) drift(); }, LOOKS_MS);
  await Promise.all([drift(), showRegistry(), part("shadow", "/model/shadow", showShadow)]);
}

begin();
