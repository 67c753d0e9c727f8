// What a policy promises, and how sure that is, in plain words.

import { byId, fill, make } from "../dom.js";
import { percent } from "../figures/svg.js";

const chats = (n, kind) => `${n.toLocaleString("en")} ${kind} calibration chats`;

/** `model` is the bundle's name, version and digest. */
export function showPromise(promise, model) {
  const words = [];
  const bundle = `${model.name} ${model.version}`;
  if (!promise.is_anything_banned) {
    words.push(make("p", {}, "The policy bans nothing: every chat is allowed, and nothing is promised. What no policy may allow stays out."));
  } else if (!promise.is_calibrated) {
    words.push(make("p", { class: "note bad" }, "The bundle is not calibrated: both risks count as 1, nothing is allowed or blocked, and every chat waits for a person."));
  } else {
    words.push(
      ...side(promise.banned_to_safe, "banned", "allowed", bundle),
      ...side(promise.safe_to_banned, "safe", "blocked", bundle),
      make("p", { class: "hint" }, "Both bounds hold on average over sets of calibration chats, and for traffic like those chats. They do not hold for one category alone, nor where the traffic has drifted: the page Model says whether it has. The threshold was chosen on the same chats, so the interval leans a little towards the good side."));
  }
  fill(byId("promise"), ...words);
}

function side(promise, kind, done, bundle) {
  const of = chats(promise.of, kind);
  if (promise.threshold === null) {
    const more = promise.n_needed - promise.of;
    const why = more > 0
      ? `that needs ${promise.n_needed.toLocaleString("en")} ${kind} calibration chats, and there are ${promise.of.toLocaleString("en")}. Accept a higher rate, or calibrate on ${more.toLocaleString("en")} more.`
      : "no score is sure enough for it.";
    return [make("p", { class: "note" }, `No chat can be ${done} at ${percent(promise.accepted, 2)}: ${why}`)];
  }
  return [
    make("p", {}, `Of ${kind} chats at most `, make("b", {}, percent(promise.accepted, 2)), ` are ${done}. With ${of} of ${bundle} the bound in use is ${percent(promise.bound, 2)}.`),
    make("p", { class: "hint" }, `Of these ${promise.of.toLocaleString("en")}, ${promise.n.toLocaleString("en")} would be ${done}: ${percent(promise.n / promise.of, 2)}, and with 95 % confidence between ${percent(promise.low, 2)} and ${percent(promise.high, 2)} (Clopper-Pearson). More calibration chats make it narrower.`),
  ];
}
