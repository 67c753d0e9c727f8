// The Chat page: finds a chat, and shows what became of it.

import { byId, count, fill, make } from "../dom.js";
import { ask, watch } from "../server.js";
import { watchStates } from "../state.js";
import { wholeMoment } from "../time.js";
import { outcome } from "./outcome.js";
import { standing } from "./standing.js";
import { waiting } from "./waiting.js";

const BATCH = 30;
const field = byId("id");
const decides = byId("found").dataset.decides === "yes";
const reasons = byId("found").dataset.reasons.split(",");
let asked = null;

function say(text, isRefused = false) {
  byId("said").textContent = text;
  byId("said").className = isRefused ? "refused" : "hint";
}

async function find(id, within = "") {
  asked?.abort();
  const mine = new AbortController();
  asked = mine;
  byId("more").hidden = true;
  say(within ? "Reading the topics, for 90 seconds at most…" : "Reading the topics, for 20 seconds at most…");
  try {
    const query = new URLSearchParams({ id, within });
    const found = await ask(`/chat/history?${query}`, undefined, { signal: mine.signal });
    if (asked === mine) show(found, () => asked === mine);
  } catch (refused) {
    if (!mine.signal.aborted) say(refused.message, true);
  }
}

function show(found, isCurrent) {
  say(account(found));
  byId("more").hidden = found.complete;
  const context = { chatId: found.chat_id, decides, reasons, again: () => find(found.chat_id) };
  standing(found, context);
  waiting(context, isCurrent);
  const outcomes = found.outcomes.toReversed();
  const list = byId("outcomes");
  fill(list);
  function more() {
    const start = list.querySelectorAll(":scope > .outcome").length;
    list.querySelector(":scope > .rest")?.remove();
    list.append(...outcomes.slice(start, start + BATCH).map((one) => outcome(one, context)));
    const left = outcomes.length - start - BATCH;
    if (left > 0) list.append(make("li", { class: "rest" }, make("button", { type: "button", onclick: more }, `Show ${count(left, "earlier one")}`)));
  }
  more();
}

function account({ n_outcomes: n, n_left_out: left, complete, looked_back_to: backTo, took_s: took, looked_through: looks }) {
  const records = looks.reduce((sum, look) => sum + look.n_records, 0);
  const read = `${count(records, "record")} read in ${took} s`;
  const parts = [n ? `${count(n, "outcome")} of this chat.` : complete ? "The topics hold nothing of this chat: it may be older than what they keep." : "Nothing found so far."];
  if (left) parts.push(`The newest ${n - left} are shown.`);
  if (complete) parts.push(`${read}, all that the topics keep.`);
  else parts.push(`Stopped after ${took} s: ${backTo === null ? "not even the newest hour is read to its end" : `read back to ${wholeMoment(Date.parse(backTo))}`}. Found so far is shown.`);
  return parts.join(" ");
}

function open() {
  const id = new URLSearchParams(location.search).get("id") ?? "";
  field.value = id;
  if (id) find(id);
  else field.focus();
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = field.value.toWellFormed();
  if (!id) return;
  history.pushState(null, "", `/chat?id=${encodeURIComponent(id)}`);
  fill(byId("outcomes"));
  byId("standing").hidden = true;
  byId("waiting").hidden = true;
  find(id);
});
addEventListener("popstate", open);
byId("more").addEventListener("click", () => find(new URLSearchParams(location.search).get("id") ?? "", "long"));
watch();
watchStates({ kafka: "No chat can be read until it is back.", database: "No text is shown and nothing can be decided until it is back." });
open();
