// The item that is read: its title, the chat behind its veil, and what is said where there is no text.

import { byId, fill, make, spoken } from "../dom.js";
import { Refused } from "../server.js";
import { pause } from "../time.js";
import { asked } from "./asking.js";
import * as details from "./details.js";
import * as veil from "./veil.js";
import { kindOf } from "./words.js";

const AGAIN_MS = 3000;
const KAFKA = "Kafka does not answer, so that no text can be shown. What you answer is kept; the text comes once it is back.";
const texts = new Map();
const seen = new Set();
let shown = null;
let reader = null;
let onSeen = () => {};

/** Begins; `seen` is told of each text that was shown, and whether it was severe. */
export function start(seen) {
  onSeen = seen;
  byId("reveal").addEventListener("click", toggle);
}

function fetched(claim) {
  const { id } = claim.item;
  if (!texts.has(id)) {
    const asking = asked("/review/text", { item_id: id });
    asking.catch(() => texts.delete(id));
    texts.set(id, asking);
  }
  return texts.get(id);
}

/** Asks for the text of an item that comes next. */
export const prefetch = (claim) => { fetched(claim); };

/** Drops the text of an item that was answered. */
export const forget = (itemId) => texts.delete(itemId);

/** Until there is an item. */
export function waiting() {
  begin("Claiming the next item…");
  byId("details").replaceChildren();
}

/** Where nothing waits. */
export function empty() {
  begin("Nothing waits here");
  fill(byId("text"), make("p", { class: "empty" }, "This queue is empty. New items appear here by themselves."));
  byId("details").replaceChildren();
}

function begin(title) {
  shown = null;
  reader = null;
  byId("item-title").textContent = title;
  byId("text").replaceChildren();
  byId("reveal").hidden = true;
  byId("kafka-away").hidden = true;
}

const titleOf = (item) => `${kindOf(item)} ${item.id}${item.is_blind ? "" : ` · ${spoken(details.categoryOf(item, item.category).name)}`}`;

/** Opens an item; `mode` says what veils its text. */
export async function open(claim, mode) {
  begin(titleOf(claim.item));
  shown = claim;
  details.show(claim);
  byId("item-title").focus({ preventScroll: true });
  byId("item").scrollIntoView({ block: "nearest" });
  fill(byId("text"), make("p", { class: "empty" }, "Reading the text…"));
  const text = await textOf(claim);
  if (shown !== claim || text === null) return;
  showText(text, mode, claim);
}

async function textOf(claim) {
  for (;;) {
    try {
      const text = await fetched(claim);
      if (shown === claim) byId("kafka-away").hidden = true;
      return text;
    } catch (refused) {
      if (shown !== claim) return null;
      if (!(refused instanceof Refused)) throw refused;
      if (refused.code !== "pipeline_away") {
        fill(byId("text"), make("p", { class: "refused" }, refused.message));
        return null;
      }
      byId("kafka-away").textContent = KAFKA;
      byId("kafka-away").hidden = false;
      fill(byId("text"), make("p", { class: "empty" }, "No text yet: Kafka does not answer. Decide by what stands beside, skip, or wait."));
      await pause(AGAIN_MS);
      if (shown !== claim) return null;
    }
  }
}

function showText(text, mode, claim) {
  details.showSimilar(text.similar);
  if (text.gone) {
    fill(byId("text"), make("div", { class: "gone" },
      make("p", {}, make("b", {}, "The text is gone."), " ", text.gone),
      make("p", { class: "hint" }, claim.item.is_blind
        ? "Skip it: nobody can judge a chat unseen."
        : "What is left: the scores and earlier answers beside. Block to be safe, or skip; allow only where they suffice.")));
    return;
  }
  reader = veil.chat(text, mode, sayVeil);
  fill(byId("text"),
    !text.is_same && make("p", { class: "note" }, "This record says something else than what was judged: decide with care, or skip."),
    reader.element);
  byId("reveal").hidden = !reader.isVeiled();
  sayVeil();
  // The answer's buttons stand over the end of the page; what decides must not be behind them.
  reader.deciding?.scrollIntoView({ block: "nearest" });
  // Once for each item, however often it is opened.
  if (!seen.has(claim.item.id)) onSeen(text.is_severe);
  seen.add(claim.item.id);
}

function sayVeil() {
  byId("reveal-label").textContent = reader.isVeiled() ? "Show text" : "Hide text";
}

/** Space: shows or hides the text. */
export function toggle() {
  reader?.toggle();
}

/** E: shows earlier turns. */
export function unfold() {
  reader?.unfold();
}
