// The answer that is being made: category, reason and note, before allow or block sends it.

import { byId, fill, make, spoken } from "../dom.js";
import { categoriesOf, policyOf } from "./details.js";

const N_KEYS = 9;
let setup = null;
let item = null;
let send = () => {};
let say = () => {};
let category = null;
let reason = null;
/** What waits for a reason: an outcome; "" where R asked for one beforehand. null: digits choose a category. */
let armed = null;

export function start(settings, sent, said) {
  setup = settings;
  send = sent;
  say = said;
  for (const outcome of ["allow", "block", "skip"]) byId(outcome).addEventListener("click", () => answer(outcome));
  byId("note").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    byId("item-title").focus();
  });
  byId("picker").addEventListener("change", (event) => choose(event.target.value || null));
}

/** Begins an answer for an item; null: there is none. */
export function begin(next) {
  item = next;
  category = null;
  reason = null;
  armed = null;
  byId("note").value = "";
  show();
}

function show() {
  byId("wish").hidden = item === null;
  for (const outcome of ["allow", "block", "skip"]) byId(outcome).disabled = item === null;
  byId("follow").textContent = "";
  if (item === null) return;
  const all = categoriesOf(item);
  const banned = new Set(policyOf(item)?.banned ?? []);
  fill(byId("categories"), ...all.slice(0, N_KEYS).map((one, i) => make("button", {
    type: "button", class: banned.has(one.code) && "banned", "aria-pressed": String(category === one.code), title: one.description,
    onclick: () => choose(one.code),
  }, make("kbd", { "aria-hidden": "true" }, String(i + 1)), spoken(one.name))));
  byId("picker").hidden = all.length <= N_KEYS;
  fill(byId("picker"), make("option", { value: "" }, "more…"), ...all.slice(N_KEYS).map((one) => make("option", { value: one.code, selected: one.code === category }, spoken(one.name))));
  fill(byId("reasons"), ...setup.reasons.map((one, i) => make("button", {
    type: "button", "aria-pressed": String(reason === one), onclick: () => give(one),
  }, armed !== null && make("kbd", { "aria-hidden": "true" }, String(i + 1)), spoken(one))));
  byId("reason-rule").textContent = ruleOf();
  byId("reason-row").dataset.armed = String(armed !== null);
  if (category !== null) byId("follow").textContent = `⏎ ${implied()}`;
}

/** What follows from the chosen category: the policy bans it or not. */
const implied = () => ((policyOf(item)?.banned ?? []).includes(category) ? "block" : "allow");

function choose(code) {
  category = category === code ? null : code;
  show();
  say(category === null ? "No other category." : `Category: ${spoken(categoriesOf(item).find((one) => one.code === category).name)}. Enter: ${implied()}.`);
}

function give(one) {
  reason = reason === one ? null : one;
  const waiting = armed;
  armed = null;
  show();
  if (waiting && reason !== null) answer(waiting);
  else say(reason === null ? "No reason." : `Reason: ${spoken(reason)}.`);
}

/** What needs a reason in the item's queue. */
function needed() {
  const { reason_needed: general, reason_needed_by_queue: own } = setup;
  return Object.hasOwn(own, item.queue) ? own[item.queue] : general;
}

const needsReason = (outcome) => outcome !== "skip" && reason === null
  && (needed().includes(outcome) || (category !== null && needed().includes("category")));

function ruleOf() {
  const words = { allow: "to allow", block: "to block", category: "for another category" };
  return needed().length > 0 ? `needed ${needed().map((one) => words[one]).join(" and ")}` : "";
}

/** Sends an outcome, or asks for the reason that it needs first. */
export function answer(outcome) {
  if (item === null) return;
  if (needsReason(outcome)) {
    arm(outcome);
    return;
  }
  const note = byId("note").value.trim();
  const isSkip = outcome === "skip";
  send({ outcome, category: isSkip ? null : category, reason: isSkip ? null : reason, note: note || null });
}

/** Lets digits choose a reason. */
export function arm(outcome = "") {
  if (item === null) return;
  armed = outcome;
  show();
  say(`${outcome ? `Reason to ${outcome}` : "Reason"}: ${setup.reasons.map((one, i) => `${i + 1} ${spoken(one)}`).join(", ")}.`);
}

/** A digit: a reason where one is asked for, else a category. */
export function digit(n) {
  if (item === null) return;
  const reasonOf = setup.reasons[n - 1];
  const categoryOf = categoriesOf(item)[n - 1];
  if (armed !== null) {
    if (reasonOf) give(reasonOf);
  } else if (categoryOf) choose(categoryOf.code);
}

/** Enter: what the chosen category implies. */
export const follow = () => { if (category !== null) answer(implied()); };

/** Esc: back to no reason asked for and no category chosen. Says whether there was something to leave. */
export function leave() {
  if (armed === null && category === null) return false;
  if (armed === null) category = null;
  armed = null;
  show();
  say("");
  return true;
}
