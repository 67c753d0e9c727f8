// The page Policy: a policy in the form, and beside it what it would have decided.

import { byId, count, fill, make } from "../dom.js";
import { percent } from "../figures/svg.js";
import { Refused, ask, watch } from "../server.js";
import { Form, nextVersion } from "./form.js";
import { showPromise } from "./promise.js";
import { showChange } from "./results.js";

const SETTLES_MS = 160;
const LOOKS_MS = 700;

let start = null;
let base = null;
let newest = 0;
let timer = null;
const form = new Form(() => later());

const period = () => byId("period").value;
const hour = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

/** Asks once a person has stopped moving. */
function later() {
  clearTimeout(timer);
  byId("answers").setAttribute("aria-busy", "true");
  timer = setTimeout(simulate, SETTLES_MS);
}

function say(error) {
  if (!(error instanceof Refused)) throw error;
  byId("refused").textContent = error.message;
}

async function simulate() {
  const mine = newest += 1;
  try {
    const answer = await ask("/policy/simulate", { policy: form.policy(), against: base, period: period() });
    // Only the newest question's answer is shown.
    if (mine !== newest) return;
    byId("refused").textContent = "";
    showChange(answer.simulation);
    showPromise(answer.promise, start.model);
    warn();
  } catch (error) {
    if (mine === newest) say(error);
  } finally {
    if (mine === newest) byId("answers").setAttribute("aria-busy", "false");
  }
}

/** A worker refuses another policy under a name and version that it has. */
function warn() {
  const made = form.policy();
  const clashes = start.policies.some((one) => one.name === made.name && one.version === made.version && !isSame(one, made));
  if (clashes) byId("refused").textContent = `Workers refuse another policy under a name and version in use: raise the version of ${made.name} ${made.version}.`;
}

function isSame(one, other) {
  const plain = (policy) => JSON.stringify(Object.entries({ ...policy, banned: [...policy.banned].sort(), enforcement: Object.entries(policy.enforcement).filter(([, firmness]) => firmness !== "must").sort() }).sort());
  return plain(one) === plain({ ...one, ...other });
}

/** Waits until the verdicts of a period are read, showing how far it is. */
async function read(again = false) {
  const asked = period();
  const showing = (share) => { byId("progress").hidden = share === null; if (share !== null) byId("progress").value = share; };
  let wasReady = false;
  for (let isAgain = again; asked === period();) {
    let state = null;
    try {
      state = await ask("/policy/verdicts", { period: asked, again: isAgain });
    } catch (error) {
      showing(null);
      return say(error);
    }
    isAgain = false;
    if (asked !== period()) return undefined;
    if (state.state === "ready" || state.state === "failed") {
      showing(null);
      byId("again").disabled = false;
      tell(state);
      wasReady = true;
      break;
    }
    byId("again").disabled = true;
    showing(state.share ?? 0);
    byId("reading").textContent = state.state === "waits" ? "Another time is being read; this one comes next." : `Reading verdicts: ${percent(state.share, 0)}, ${count(state.n_records, "record")}.`;
    await new Promise((resolve) => { setTimeout(resolve, LOOKS_MS); });
  }
  return wasReady ? simulate() : undefined;
}

function tell(state) {
  const notes = [];
  if (state.state === "failed") {
    byId("reading").textContent = "";
    fill(byId("notes"), make("p", { class: "note bad" }, state.error));
    return;
  }
  byId("reading").textContent = `${hour(state.since_ms)} to ${hour(state.until_ms)} UTC: ${count(state.n_records, "record")} read, the newest verdict of ${count(state.n_chats, "chat")}.`;
  const others = state.set_aside.other_bundle ?? 0;
  if (others > 0) {
    const named = state.other_bundles.map(([digest, n]) => `${digest.slice(0, 19)} (${n.toLocaleString("en")})`).join(", ");
    notes.push(make("p", { class: "note bad" }, `${count(others, "verdict")} ${others === 1 ? "is" : "are"} of another bundle and left out: ${named}. This console serves ${state.digest.slice(0, 19)}. Start a console with the bundle that judged to see ${others === 1 ? "it" : "them"}.`));
  }
  if (state.stopped_at !== null) notes.push(make("p", { class: "note" }, `Stopped after three minutes at ${percent(state.stopped_at, 0)} of the records: the figures are of the earlier part of that time.`));
  if (state.sampled_share < 1) notes.push(make("p", { class: "note" }, `More chats than there is room for: a random ${percent(state.sampled_share, state.sampled_share < 0.1 ? 2 : 0)} of them is counted, drawn from the whole time.`));
  const rest = Object.entries(state.set_aside).filter(([reason]) => reason !== "other_bundle").map(([reason, n]) => `${n.toLocaleString("en")} ${reason.replaceAll("_", " ")}`);
  if (rest.length > 0) byId("reading").textContent += ` Left out: ${rest.join(", ")}.`;
  fill(byId("notes"), ...notes);
}

function choose() {
  base = start.policies[Number(byId("base").value)];
  form.show({ ...base, version: nextVersion(base.version) });
  byId("file").hidden = true;
  later();
}

async function download() {
  let file = null;
  try {
    file = await ask("/policy/file", { policy: form.policy(), period: period() });
  } catch (error) {
    say(error);
    return;
  }
  const url = URL.createObjectURL(new Blob([file.text], { type: "application/toml" }));
  make("a", { href: url, download: file.name }).click();
  URL.revokeObjectURL(url);
  const checked = file.n_compared === 0
    ? "Read back by the worker's own reader it is the same policy. There were no verdicts to decide with it."
    : `Read back by the worker's own reader it is the same policy, and decides the same on ${file.n_same.toLocaleString("en")} of ${count(file.n_compared, "chat")}.`;
  const isGood = file.is_read_back && file.n_same === file.n_compared;
  const isDefault = form.policy().name === start.policies[0].name;
  fill(byId("file-said"),
    make("p", { class: `note ${isGood ? "good" : "bad"}` }, isGood ? checked : `The file is not the policy that you see: it decides the same on ${file.n_same} of ${file.n_compared} chats. Do not use it.`),
    make("pre", { tabindex: "0", role: "region", "aria-label": `Contents of ${file.name}` }, file.text),
    make("ol", {},
      make("li", {}, "Have somebody else read it, and keep it under version control."),
      make("li", {}, "Check it over other verdicts, where you like: ", make("code", {}, `python -m worker policy simulate --policy ${file.name}`)),
      make("li", {}, isDefault ? "Put it in the place of the default policy: " : "Put it into the folder of policies: ",
        make("code", {}, isDefault ? "MODERATION_MODEL__POLICY_PATH" : "MODERATION_MODEL__POLICIES_DIR"),
        "; with the chart, into its ConfigMap. Workers notice within seconds, and no chat is classified anew.")));
  byId("file").hidden = false;
  byId("file").scrollIntoView({ block: "nearest" });
}

async function begin() {
  watch();
  start = await ask("/policy/start");
  form.categories(start.taxonomy, start.categories);
  fill(byId("base"), ...start.policies.map((policy, i) => make("option", { value: i }, `${policy.name} ${policy.version}${i === 0 ? " (default)" : ""}`)));
  byId("base").addEventListener("input", (event) => { event.stopPropagation(); choose(); });
  byId("reset").addEventListener("click", choose);
  byId("download").addEventListener("click", download);
  byId("period").addEventListener("change", () => read());
  byId("again").addEventListener("click", () => read(true));
  choose();
  read();
}

begin();
