// The table of newest verdicts: batched, capped, and still while somebody reads.

import { byId, count, make, share, spoken } from "../dom.js";
import { moment } from "../time.js";

const MOST_SHOWN = 200;
const MOST_WAITING = 2000;
const MOST_SEEN = 10_000;

const body = byId("rows");
const area = byId("scroll");
const button = byId("pause");

let waiting = [];
let nWaiting = 0;
let isHeld = false;
let isHovered = false;
/** What made it stand still when it was told to go on; counts again once it is over. */
let isOverridden = false;
/** Places that were met, in the order of their arrival: two consoles answer in turn. */
let seen = new Set();

const selects = () => {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && area.contains(selection.anchorNode);
};
const isReading = () => isHovered || area.scrollTop > 4 || selects() || area.contains(document.activeElement);
const isPaused = () => isHeld || (isReading() && !isOverridden);

/** Takes rows, the newest first. */
export function take(rows) {
  const fresh = rows.filter(({ place }) => !seen.has(place));
  for (const { place } of fresh) seen.add(place);
  if (seen.size > MOST_SEEN) seen = new Set([...seen].slice(-MOST_SEEN / 2));
  waiting = fresh.concat(waiting).slice(0, MOST_WAITING);
  nWaiting += fresh.length;
  step();
}

/** Forgets everything: other verdicts are wanted. */
export function reset() {
  waiting = [];
  nWaiting = 0;
  seen = new Set();
  body.replaceChildren();
}

function step() {
  if (!isReading()) isOverridden = false;
  if (!isPaused() && waiting.length) {
    const kept = waiting.slice(0, MOST_SHOWN);
    body.prepend(...kept.map(row));
    while (body.children.length > MOST_SHOWN) body.lastElementChild.remove();
    waiting = [];
    nWaiting = 0;
  }
  say();
}

function say() {
  const said = isPaused() ? `paused, ${count(nWaiting, "newer", "newer")}` : "";
  if (byId("paused").textContent !== said) byId("paused").textContent = said;
  button.setAttribute("aria-pressed", String(isPaused()));
  button.firstChild.data = isPaused() ? "Resume " : "Pause ";
}

function toggle() {
  if (!isPaused()) isHeld = true;
  else {
    isHeld = false;
    isOverridden = true;
    area.scrollTop = 0;
    if (selects()) document.getSelection().removeAllRanges();
  }
  step();
}

function row(verdict) {
  return make("tr", { "data-decision": verdict.decision, class: verdict.kind === "event" ? "" : verdict.kind },
    make("td", { class: "time" }, moment(verdict.at_ms)),
    make("td", {}, make("b", { "data-decision": verdict.decision }, verdict.decision)),
    make("td", { class: "category" }, make("code", {}, verdict.code), ` ${spoken(verdict.category)}`),
    make("td", { class: "number score" }, share(verdict.score)),
    make("td", { class: "by" }, spoken(verdict.decided_by), verdict.kind !== "event" && make("span", { class: "tag" }, verdict.kind)),
    make("td", { class: "language" }, verdict.language ?? "–"),
    make("td", { class: "stage" }, spoken(verdict.stage), verdict.cache_hit && make("span", { class: "tag", title: "The probabilities came from the cache" }, "cached")),
    make("td", { class: "chat" }, make("a", { href: `/chat?id=${encodeURIComponent(verdict.chat_id)}`, dir: "auto" }, verdict.chat_id)),
  );
}

/** Listens for what makes it stand still, and for the key. */
export function start() {
  area.addEventListener("pointerenter", (event) => { isHovered = event.pointerType === "mouse"; say(); });
  area.addEventListener("pointerleave", () => { isHovered = false; step(); });
  area.addEventListener("scroll", say, { passive: true });
  area.addEventListener("focusin", say);
  area.addEventListener("focusout", () => setTimeout(step));
  document.addEventListener("selectionchange", say);
  button.addEventListener("click", toggle);
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "p" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    toggle();
  });
}
