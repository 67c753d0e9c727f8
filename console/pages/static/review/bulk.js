// One answer for many items: a filter, how many it finds with a sample of them, then the answer and its way back.

import { byId, count, fill, make, share, spoken } from "../dom.js";
import { asked, newToken } from "./asking.js";
import { categoryOf } from "./details.js";
import * as looks from "./looks.js";
import * as saved from "./saved.js";
import { say, tell } from "./say.js";
import * as veil from "./veil.js";
import { done, moment } from "./words.js";

let setup = null;
let current = () => null;
let found = null;
let batch = null;

/** Begins; `reading` gives the claim of the item that is read, whose text may be the filter. */
export function start(settings, reading) {
  setup = settings;
  current = reading;
  const option = (value, text) => make("option", { value }, text);
  fill(byId("bulk-policy"), option("", "any"), ...setup.queues.map((name) => option(name, name)));
  fill(byId("bulk-category"), option("", "any"), ...setup.categories.map((one) => option(one.code, spoken(one.name))));
  fill(byId("bulk-reason"), option("", "none"), ...setup.reasons.map((one) => option(one, spoken(one))));
  byId("bulk-form").addEventListener("submit", (event) => { event.preventDefault(); preview(); });
  byId("bulk-form").addEventListener("change", (event) => { if (event.target.closest(".filter")) forget(); });
  byId("bulk-cap").addEventListener("input", name);
  byId("bulk-outcome").addEventListener("change", name);
  byId("bulk-answer").addEventListener("click", answer);
  byId("bulk-undo").addEventListener("click", undo);
  saved.start(setup, ({ category, policy }) => {
    byId("bulk-category").value = category;
    byId("bulk-policy").value = policy ?? "";
    byId("bulk-text").value = "";
    preview();
  });
}

/** Shown: the text of the item that is read can be the filter. */
export function look() {
  const print = current()?.item.fingerprint ?? null;
  byId("bulk-text").disabled = print === null;
  if (print === null) byId("bulk-text").value = "";
  byId("bulk-text-of").textContent = print === null ? "no item is being read" : `as item ${current().item.id}`;
}

function filter() {
  const item = current()?.item;
  const text = byId("bulk-text").value;
  return {
    policy: byId("bulk-policy").value || null,
    category: byId("bulk-category").value || null,
    fingerprint: text === "same" ? item?.fingerprint ?? null : null,
    near: text === "near" ? item?.id ?? null : null,
  };
}

function forget() {
  found = null;
  byId("bulk-found").hidden = true;
}

async function preview() {
  forget();
  const asking = filter();
  try {
    const { n_matching: n, sample, most, n_uncompared: left } = await asked("/review/bulk/preview", { filter: asking });
    found = { filter: asking, n };
    byId("bulk-count").textContent = found.filter.near === null ? counted(n, sample) : `${counted(n, sample)}${leftOut(left)}`;
    fill(byId("bulk-sample"), ...sample.map(row));
    byId("bulk-cap").max = String(Math.min(n, most));
    byId("bulk-cap").value = String(Math.min(n, most));
    byId("bulk-make").hidden = n === 0;
    byId("bulk-found").hidden = false;
    name();
  } catch (refused) {
    tell(refused.message);
  }
}

const counted = (n, sample) => (n === 0 ? "Nothing that waits matches."
  : `${count(n, "item")} match.${n > sample.length ? ` ${sample[0].alike === null ? "A sample of" : "The least near"} ${sample.length}:` : ""}`);
const leftOut = (n) => (n === 0 ? "" : ` ${count(n, "item")} could not be compared: the text is gone, or was not read in time. Find them again goes on.`);

function row(item) {
  const place = make("div", {});
  const button = make("button", { type: "button", onclick: () => reveal(item, place, button) }, "Text");
  return make("li", {},
    make("div", { class: "bulk-row" },
      make("span", {}, `${item.id} · `, make("b", {}, spoken(categoryOf(item, item.category).name)), ` · ${item.alike === null ? "" : `${Math.round(100 * item.alike)} % alike · `}risk ${share(item.risk)} · ${item.queue} · ${moment(item.arrived_ms)}`),
      button),
    place);
}

async function reveal(item, place, button) {
  button.disabled = true;
  try {
    const text = await asked("/review/text", { item_id: item.id });
    fill(place, text.gone ? make("p", { class: "note" }, text.gone) : veil.chat(text, looks.mode()).element);
    button.remove();
  } catch (refused) {
    button.disabled = false;
    tell(refused.message);
  }
}

const cap = () => Math.max(0, Math.min(Number(byId("bulk-cap").value) || 0, found?.n ?? 0));

function name() {
  const outcome = byId("bulk-outcome").value;
  byId("bulk-answer").textContent = `${spoken(outcome)} ${count(cap(), "item")}`;
  byId("bulk-answer").disabled = cap() === 0;
}

async function answer() {
  const body = {
    filter: found.filter,
    outcome: byId("bulk-outcome").value,
    reason: byId("bulk-reason").value || null,
    note: byId("bulk-note").value.trim() || null,
    cap: cap(),
    expected_count: found.n,
    batch: newToken(),
  };
  byId("bulk-answer").disabled = true;
  try {
    const { n_answered: n } = await asked("/review/bulk", body);
    batch = body.batch;
    forget();
    byId("bulk-done-what").textContent = `${done(body.outcome)} ${count(n, "item")}.`;
    byId("bulk-undo").disabled = false;
    byId("bulk-done").hidden = false;
    byId("bulk-undo").focus();
    say(byId("bulk-done-what").textContent);
  } catch (refused) {
    byId("bulk-answer").disabled = false;
    tell(refused.message);
  }
}

async function undo() {
  byId("bulk-undo").disabled = true;
  try {
    const { n_undone: n, n_left: left } = await asked("/review/bulk/undo", { batch });
    byId("bulk-done-what").textContent = `Taken back: ${count(n, "item")}.${left > 0 ? ` ${count(left, "answer")} stay: taken back before, or somebody else has the item now.` : ""}`;
    // The button that had the focus is of no use any more.
    byId("bulk-done-what").focus();
    say(byId("bulk-done-what").textContent);
  } catch (refused) {
    byId("bulk-undo").disabled = false;
    tell(refused.message);
  }
}
