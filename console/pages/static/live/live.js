// The Live page: asks for new verdicts each second, for figures each five, and puts the parts together.

import { byId, make, spoken } from "../dom.js";
import { ask, watch } from "../server.js";
import { watchStates } from "../state.js";
import { showFigures } from "./figures.js";
import * as rows from "./rows.js";

const ROWS_MS = 1000;
const FIGURES_MS = 5000;
const MOST_CURSORS = 6;
const form = byId("filters");

/** By console the newest cursor: behind a balancer several answer in turn. */
let cursors = new Map();
let asked = null;

const filters = () => [...new FormData(form)].filter(([, value]) => value !== "");

function said(text) {
  if (byId("rows-said").textContent !== text) byId("rows-said").textContent = text;
}

async function readRows(signal) {
  const after = [...cursors].map(([name, number]) => `${name}.${number}`).join(",");
  const query = new URLSearchParams([...filters(), ["after", after]]);
  const found = await ask(`/live/newest?${query}`, undefined, { signal });
  const [name, number] = found.cursor.split(".");
  cursors.delete(name);
  cursors = new Map([...cursors, [name, number]].slice(-MOST_CURSORS));
  rows.take(found.rows);
  const isFirst = after === "";
  if (!isFirst && (found.n_left_out || found.n_lost)) said(`More came than is shown: ${(found.n_left_out + found.n_lost).toLocaleString("en")} since the last look.`);
  else said(byId("rows").children.length ? "" : "Nothing like this has come yet.");
}

async function follow() {
  for (;;) {
    asked = new AbortController();
    try {
      if (!document.hidden) await readRows(asked.signal);
    } catch (refused) {
      if (!asked.signal.aborted) said(refused.message);
    }
    await new Promise((resolve) => setTimeout(resolve, asked.signal.aborted ? 0 : ROWS_MS));
  }
}

async function followFigures() {
  for (;;) {
    try {
      if (!document.hidden) {
        const figures = await ask("/live/figures");
        showFigures(figures);
        offer(figures);
      }
    } catch (refused) {
      byId("as-of").textContent = refused.message;
    }
    await new Promise((resolve) => setTimeout(resolve, FIGURES_MS));
  }
}

/** Offers what was seen as filters, and leaves what is chosen as it is. */
function offer({ totals, names }) {
  const policies = new Set(Object.keys(totals).filter((what) => what.startsWith("policy ")).flatMap((what) => Object.keys(totals[what])));
  choices("category", Object.keys(totals.category ?? {}).sort(), (code) => `${code} ${spoken(names[code] ?? "")}`);
  choices("policy", [...policies].sort(), (name) => name);
  choices("language", Object.keys(totals.language ?? {}).sort().map((name) => name || "-"), (name) => (name === "-" ? "not told" : name));
}

function choices(name, values, text) {
  const field = form.elements[name];
  const known = new Set([...field.options].map(({ value }) => value));
  for (const value of values) if (!known.has(value)) field.append(make("option", { value }, text(value)));
}

let typing = 0;
function changed() {
  clearTimeout(typing);
  typing = setTimeout(() => {
    cursors = new Map();
    rows.reset();
    asked?.abort();
  }, 250);
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", changed);
rows.start();
watch();
watchStates({ redis: "Workers judge on; each verdict is computed anew." });
follow();
followFigures();
