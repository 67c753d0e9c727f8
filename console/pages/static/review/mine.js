// What one answered: the strip under the item with its seconds to take it back, and the list of the tab Mine.

import { byId, count, fill, make, spoken } from "../dom.js";
import { asked } from "./asking.js";
import { tell } from "./say.js";
import * as sending from "./sending.js";
import { done, kindOf, moment } from "./words.js";

const EACH_MS = 500;
let actions = {};

/** `undo` takes the newest answer back; `reopened` is given the claim of an older one. */
export function start(given) {
  actions = given;
  byId("undo").addEventListener("click", actions.undo);
  setInterval(strip, EACH_MS);
  strip();
}

/** Writes the strip anew. */
export function strip() {
  const entry = sending.latest();
  const n = sending.nPending();
  byId("undo").disabled = entry === null;
  const text = entry === null ? "Nothing to take back" : `${done(entry.wish.outcome)} item ${entry.claim.item.id}${standing(entry)}`;
  if (byId("undo-what").textContent !== text) byId("undo-what").textContent = text;
  byId("pending").textContent = n > 1 || (n === 1 && !byId("away").hidden) ? `${count(n, "answer")} kept here, not sent yet` : "";
}

/** How far an answer is. Of a blind item nobody is told whether anything is sent; nor is it before others agreed. */
function standing(entry) {
  if (entry.state === "pending") return "";
  if (entry.sends_at_ms === null) return entry.wish.outcome === "skip" ? ": nothing is sent" : ": taken";
  const left = sending.secondsLeft(entry);
  return left > 0 ? `: ${left} s left` : ": sent";
}

/** Shows the tab. */
export async function show() {
  const { answers } = await asked("/review/recent");
  fill(byId("recent"), ...(answers.length ? answers.map(row) : [make("tr", {}, make("td", { colspan: 7, class: "empty" }, "No answers yet."))]));
}

function row(answer) {
  const undo = make("button", { type: "button", onclick: () => takeBack(answer, undo), "aria-label": `Take back the answer to item ${answer.item_id}` }, "Undo");
  return make("tr", { class: answer.undone_ms !== null && "undone" },
    make("td", { class: "number" }, moment(answer.at_ms)),
    make("td", {}, `${kindOf(answer)} ${answer.item_id}`),
    make("td", {}, answer.queue),
    make("td", {}, make("b", { "data-decision": answer.outcome }, answer.outcome)),
    make("td", {}, [answer.category_name && spoken(answer.category_name), answer.reason && spoken(answer.reason)].filter(Boolean).join(" · ")),
    make("td", { dir: "auto" }, answer.note ?? ""),
    make("td", {}, answer.undone_ms !== null ? "taken back" : undo));
}

async function takeBack(answer, button) {
  button.disabled = true;
  try {
    const { claim } = await asked("/review/undo", { answer_id: answer.id });
    if (claim) actions.reopened(claim);
    else await show();
  } catch (refused) {
    button.disabled = false;
    tell(refused.message);
  }
}
