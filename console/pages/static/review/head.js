// The line above the queue: which queue and order, how much waits, how old, own pace and exposure.

import { byId, count, fill, make } from "../dom.js";
import { asked, now } from "./asking.js";
import { tell } from "./say.js";
import { span } from "./words.js";

const LOOK_MS = 15_000;
const PACE_OF = 20;
const HOUR_MS = 3_600_000;
/** What lies between two answers counts for no more: the rest was a pause. */
const LONGEST_MS = 300_000;
const answered = [];
let exposure = null;
let nToday = 0;
let page = null;
let isLooking = false;
let queues = [];
let starred = new Set();

export const place = () => {
  const [kind, queue] = byId("queue").value.split(":", 2);
  return { queue: queue || null, kind: kind || null, order: document.querySelector("input[name=order]:checked").value };
};

/** Begins to show; `moved` is called where another queue or order was chosen. */
export function start(setup, moved) {
  exposure = setup.exposure;
  nToday = setup.n_today;
  answered.push(...setup.answered_ms);
  queues = setup.queues;
  starred = new Set(setup.preferences.starred);
  list();
  byId("queue").addEventListener("change", () => { showStar(); moved(); });
  byId("star").addEventListener("click", star);
  byId("order").addEventListener("change", moved);
  setInterval(() => { if (!document.hidden) look(); }, LOOK_MS);
  look();
}

function list() {
  const chosen = byId("queue").value || ":";
  const options = (names) => names.map((name) => make("option", { value: `:${name}` }, name));
  const first = queues.filter((name) => starred.has(name));
  const rest = queues.filter((name) => !starred.has(name));
  fill(byId("queue"),
    make("option", { value: ":" }, "All that waits"),
    first.length > 0 && make("optgroup", { label: "Starred" }, ...options(first)),
    rest.length > 0 && queues.length > 1 && make("optgroup", { label: "Policies" }, ...options(rest)),
    make("optgroup", { label: "Special" }, make("option", { value: "appeal:" }, "Appeals"), make("option", { value: "adjudication:" }, "Adjudication")));
  byId("queue").value = chosen;
  showStar();
}

function showStar() {
  const { queue } = place();
  const isStarred = queue !== null && starred.has(queue);
  byId("star").hidden = queue === null;
  byId("star").setAttribute("aria-pressed", String(isStarred));
  byId("star").textContent = isStarred ? "★" : "☆";
}

/** Stars the chosen queue, or takes its star away. */
async function star() {
  const { queue } = place();
  if (!starred.delete(queue)) starred.add(queue);
  list();
  // Of a queue that is not listed here the star stays.
  await asked("/review/preferences", { starred: [...starred] }).catch((refused) => tell(refused.message));
}

/** Asks how much waits. */
export async function look() {
  if (isLooking) return;
  isLooking = true;
  const { queue, kind, order } = place();
  const query = new URLSearchParams({ order, limit: "1", ...(queue && { queue }), ...(kind && { kind }) });
  page = await asked(`/review/queue?${query}`).finally(() => { isLooking = false; });
  draw();
}

function draw() {
  if (page === null) return;
  const rows = [
    ["Waiting", page.total.toLocaleString("en"), null],
    ["Oldest", page.oldest_ms === null ? "–" : span(now() - page.oldest_ms), null],
    ["p95 wait", page.p95_wait_ms === null ? "–" : span(page.p95_wait_ms), null, "19 of 20 items have waited for no longer"],
    ["Late", page.n_late.toLocaleString("en"), page.n_late > 0 ? "late" : null],
    ["Your pace", pace() === null ? "–" : `${pace()} / h`, null],
    ["Today", nToday.toLocaleString("en"), null],
    ["Seen", seen(), null],
  ];
  fill(byId("now"), ...rows.map(([name, value, tone, title]) => make("div", { "data-tone": tone, title }, make("dt", {}, name), make("dd", {}, value))));
}

const seen = () => `${exposure.n_seen.toLocaleString("en")} · ${exposure.n_severe.toLocaleString("en")} severe`;

function pace() {
  const last = answered.slice(-PACE_OF);
  if (last.length < 3) return null;
  const worked = last.slice(1).reduce((sum, at, i) => sum + Math.min(at - last[i], LONGEST_MS), 0);
  return Math.round(((last.length - 1) * HOUR_MS) / Math.max(1, worked));
}

/** Counts an answer. */
export function countAnswer() {
  answered.push(now());
  nToday += 1;
  if (page !== null) page.total = Math.max(0, page.total - 1);
  draw();
}

/** Counts an answer that was taken back. */
export function uncount() {
  answered.pop();
  nToday = Math.max(0, nToday - 1);
  if (page !== null) page.total += 1;
  draw();
}

/** Counts a text that was shown, and suggests a pause where it is time for one. */
export function saw(isSevere) {
  exposure.n_seen += 1;
  exposure.n_severe += isSevere ? 1 : 0;
  draw();
  const at = now();
  const { pause_after_ms: long, pause_ms: gap, pause_after_severe: many } = exposure;
  if (exposure.last_ms === null || at - exposure.last_ms > gap) Object.assign(exposure, { since_ms: at, n_severe_since: 0 });
  exposure.last_ms = at;
  exposure.n_severe_since += isSevere ? 1 : 0;
  const worked = at - exposure.since_ms;
  const isTime = worked > long || exposure.n_severe_since >= many;
  if (!isTime || at < (exposure.quiet_until ?? 0)) return;
  const text = exposure.n_severe_since >= many
    ? `You have seen ${count(exposure.n_severe_since, "severe chat")} in a row of ${span(worked)}.`
    : `You have been reading for ${span(worked)}.`;
  fill(byId("pause"), `${text} A short pause does good; your claims are given back when you leave. `,
    make("button", { type: "button", class: "quiet", onclick: () => { byId("pause").hidden = true; exposure.quiet_until = now() + long / 2; } }, "Later"));
  byId("pause").hidden = false;
}
