// Answers on their way. Each has a name of its own, so that it may be sent again; the person works on meanwhile.

import { asked, newToken, now } from "./asking.js";

const MOST_KEPT = 30;
const entries = [];
let chain = Promise.resolve();
let onChange = () => {};
let onRefused = () => {};

/** Called at each change; `refused` with the entry and why, where the server did not take an answer. */
export function start(change, refused) {
  onChange = change;
  onRefused = refused;
  window.addEventListener("beforeunload", (event) => { if (nPending() > 0) event.preventDefault(); });
}

export const nPending = () => entries.filter((entry) => entry.state === "pending").length;

/** The newest answer that can be taken back. */
export const latest = () => entries.findLast((entry) => entry.state === "pending" || entry.state === "sent") ?? null;

/** Seconds until an answer leaves the console; 0: it has left, and taking it back sends a correction. */
export const secondsLeft = (entry) => (entry.state === "pending" ? null : Math.max(0, Math.ceil((entry.sends_at_ms - now()) / 1000)));

/** Sends an answer after those before it. */
export function send(claim, wish) {
  const entry = { decision_id: newToken(), claim, wish, state: "pending", at_ms: now(), answer_id: null, sends_at_ms: null };
  entries.push(entry);
  if (entries.length > MOST_KEPT) entries.shift();
  entry.done = chain.then(() => post(entry));
  chain = entry.done;
  onChange();
  return entry;
}

async function post(entry) {
  if (entry.state !== "pending") return;
  entry.isBegun = true;
  try {
    const answered = await asked("/review/answer", {
      item_id: entry.claim.item.id, token: entry.claim.token, decision_id: entry.decision_id, ...entry.wish,
    });
    Object.assign(entry, { state: "sent", answer_id: answered.answer_id, sends_at_ms: answered.sends_at_ms });
  } catch (refused) {
    entry.state = "refused";
    onRefused(entry, refused);
  }
  onChange();
}

/** Takes an answer back; gives the item's claim, or null where there is nothing to take back. */
export async function undo(entry) {
  if (!entry.isBegun) {
    entry.state = "undone";
    onChange();
    return entry.claim;
  }
  await entry.done;
  if (entry.state !== "sent") return null;
  const claim = await takenBack(entry);
  entry.state = "undone";
  onChange();
  return claim;
}

async function takenBack(entry) {
  try {
    return (await asked("/review/undo", { answer_id: entry.answer_id })).claim;
  } catch (refused) {
    if (refused.status !== 409) throw refused;
    // An undo whose reply was lost has been done: the item is this person's. Where it is not, this says whose.
    return (await asked("/review/claim", { item_id: entry.claim.item.id })).claim;
  }
}
