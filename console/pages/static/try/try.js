// The Try page: puts its parts together.

import { byId, fill, make, spoken } from "../dom.js";
import { ask, watch } from "../server.js";
import * as conversation from "./conversation.js";
import * as influence from "./influence.js";
import { showReading } from "./reading.js";
import * as table from "./table.js";
import { showVerdict } from "./verdict.js";

const LABELS = { served: "served by this port" };
let bundle = null;
let judging = null;

const chosen = () => byId("bundle").value;

async function choose() {
  const name = chosen();
  judging?.abort();
  byId("verdict-panel").setAttribute("aria-busy", "false");
  influence.reset(null);
  byId("model").textContent = "Loading…";
  try {
    const found = await ask("/try/bundle", { bundle: name });
    if (name !== chosen()) return;
    bundle = { ...found, choice: name };
    showBundle();
    if (conversation.messages().length) await judge();
  } catch (refused) {
    byId("model").textContent = refused.message;
  }
}

function showBundle() {
  const { model, taxonomy, policy } = bundle;
  byId("model").textContent = `${model.name} ${model.version} · ${taxonomy.name} ${taxonomy.version} · policy ${policy}${bundle.is_calibrated ? "" : " · not calibrated"}`;
  byId("subject").textContent = bundle.subject || `${bundle.categories.length} categories`;
  byId("measure").hidden = !bundle.categories.some((one) => one.is_banned);
  if (byId("measure").hidden) document.querySelector("input[name=measure][value=category_drop]").checked = true;
  const names = new Map(bundle.categories.map((one) => [one.code, one.name]));
  fill(byId("examples"), ...bundle.examples.map((example) => make("button", {
    type: "button",
    onclick: () => { conversation.show(example.messages); judge(); },
  }, spoken(names.get(example.category)))));
}

async function judge() {
  const messages = conversation.messages();
  if (!messages.length) {
    byId("said").textContent = "Nothing to judge: write a message first.";
    return;
  }
  if (bundle?.choice !== chosen()) {
    byId("said").textContent = "This bundle is not loaded yet; the text is judged once it is.";
    return;
  }
  judging?.abort();
  const mine = new AbortController();
  judging = mine;
  const asked = bundle;
  const question = { bundle: asked.choice, messages };
  byId("verdict-panel").setAttribute("aria-busy", "true");
  influence.reset(null);
  try {
    const answer = await ask("/try/judge", question, { signal: mine.signal });
    showVerdict(answer.verdict, asked);
    showReading(answer.reading);
    influence.reset(question);
    byId("said").textContent = "";
  } catch (refused) {
    if (mine.signal.aborted) return;
    fill(byId("verdict"), make("p", { class: "refused" }, refused.message));
    fill(byId("reading"));
  }
  byId("verdict-panel").setAttribute("aria-busy", "false");
}

byId("judge").addEventListener("click", judge);
byId("add").addEventListener("click", () => conversation.add().focus());
byId("clear").addEventListener("click", () => { conversation.show([]); byId("turns").querySelector("textarea").focus(); });
byId("bundle").addEventListener("change", choose);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); judge(); }
});

conversation.show([]);
influence.start(ask);
table.start(ask, chosen);
watch();
const { names } = await ask("/try/bundles");
fill(byId("bundle"), ...names.map((name) => make("option", { value: name }, LABELS[name] ?? name)));
await choose();
