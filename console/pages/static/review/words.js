// How the page says times, decisions and categories.

import { spoken } from "../dom.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A span of time in one unit: `4 min`, `3.2 h`, `5 days`. */
export function span(ms) {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.round(ms / 1000))} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < 2 * DAY_MS) return `${(ms / HOUR_MS).toFixed(1)} h`;
  return `${Math.floor(ms / DAY_MS)} days`;
}

/** An hour of the day, with the day where it is another one. */
export function moment(ms) {
  const date = new Date(ms);
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString("en-GB", isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

const WHY = {
  model: "The model is in doubt: the score lies between the policy's two thresholds.",
  nothing_banned: "The policy bans nothing.",
  unevaluated: "Part of the chat could not be judged, so a person looks at it.",
  hold: "An earlier block of this chat still holds.",
  floor: "A category of the floor: no policy may allow it.",
  advertiser: "The advertiser asked for it.",
  deny_list: "The chat or its user stands on a deny list.",
  override: "A person decided it before.",
};
const SOFT = "The policy never blocks for this category alone, so a person decides.";
const KINDS = {
  review: "Review", sample: "Quality sample", gold: "Quality sample", appeal: "Appeal", adjudication: "Adjudication",
};
const UNEVALUATED = {
  length: "the users wrote more than is read",
  failure: "the model failed on a piece",
  language: "the bundle was not calibrated on this language",
  uncalibrated: "the bundle was never calibrated",
};
const DONE = { allow: "Allowed", block: "Blocked", skip: "Skipped" };

/** Why a policy decided so; `isSoft`: it does not block for the chat's category alone, however sure the model is. */
export function why({ decision, decided_by: decidedBy }, isSoft) {
  if (decidedBy === "model" && decision !== "review") return "The model was sure enough for the policy.";
  return decidedBy === "model" && isSoft ? SOFT : WHY[decidedBy] ?? spoken(decidedBy);
}
export const kindOf = ({ kind, is_disputed: isDisputed }) => KINDS[isDisputed ? "adjudication" : kind] ?? spoken(kind);
export const unevaluatedOf = (reason) => UNEVALUATED[reason] ?? reason.replaceAll("_", " ");
export const done = (outcome) => DONE[outcome] ?? spoken(outcome);
export const percent = (value) => `${(100 * value).toFixed(value > 0 && value < 1 ? 1 : 0)} %`;

/** What a lost claim is told: who has the item, or who decided what. */
export function lostTo(conflict) {
  if (conflict.decided_by) return `${conflict.decided_by} answered item ${conflict.item_id}: ${conflict.outcome ?? "decided"}.`;
  if (conflict.claimed_by) return `Item ${conflict.item_id} is now with ${conflict.claimed_by}.`;
  return `Item ${conflict.item_id} is not yours any more: its lease ran out, or it was closed.`;
}
