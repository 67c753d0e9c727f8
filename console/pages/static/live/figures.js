// Figures of the last hour: tiles, plots, lag, dead letters.

import { byId, count, fill, make, spoken } from "../dom.js";
import { moment } from "../time.js";
import { plot, show } from "./plots.js";

const MOST_CATEGORIES = 8;
const DECISIONS = ["allow", "review", "block"];
const total = (counts = {}) => Object.values(counts).reduce((sum, n) => sum + n, 0);
const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
const said = (n) => n.toLocaleString("en");

/** Shows an answer of /live/figures. */
export function showFigures(figures) {
  // The last minute is not over: its count would look like a fall.
  const minutes = figures.minutes.slice(0, -1);
  const first = figures.is_cut && figures.since_ms !== null ? Math.max(0, minutes.findLastIndex((minute) => minute <= figures.since_ms)) : 0;
  const whole = (values = []) => values.slice(0, -1);
  const { decision = {}, category = {} } = figures.series;
  const lines = DECISIONS.filter((name) => decision[name]).map((name) => ({ name, values: whole(decision[name]), tone: name }));
  const most = Object.keys(category).slice(0, MOST_CATEGORIES);
  const others = Object.keys(category).slice(MOST_CATEGORIES);
  tiles(figures, lines);
  show(byId("decisions"), lines.length ? [plot(lines, minutes, first)] : [], "No verdict in the last hour.");
  show(byId("categories"), [
    ...most.map((code) => plot([{ name: `${code} ${spoken(figures.names[code] ?? "")}`, values: whole(category[code]), tone: "accent" }], minutes, first, { height: 40 })),
    ...(others.length ? [make("p", { class: "hint" }, `And ${count(others.length, "rarer one", "rarer ones")}: ${said(others.reduce((sum, code) => sum + figures.totals.category[code], 0))} in the hour.`)] : []),
  ], "No verdict in the last hour.");
  lag(figures.lag, figures.now_ms);
  letters(figures.letters);
  asOf(figures);
}

function asOf({ fault, reads_back, is_cut, since_ms }) {
  const parts = [];
  if (reads_back) parts.push("Reading back: counts grow until the present is reached.");
  if (is_cut && since_ms !== null) parts.push(`Counts begin at ${moment(since_ms)}.`);
  if (fault !== null) parts.push(`${fault}.`);
  const text = parts.join(" ") || "Verdicts as they come; counts of the last hour.";
  if (byId("as-of").textContent !== text) byId("as-of").textContent = text;
}

function tiles({ totals, lag: group, series }, lines) {
  const n = total(totals.decision);
  const recent = (what, key) => (series[what]?.[key] ?? []).slice(-5).reduce((sum, one) => sum + one, 0);
  const [hit, miss] = [recent("cache", "hit"), recent("cache", "miss")];
  const values = [
    ["Verdicts, last whole minute", said(lines.reduce((sum, one) => sum + (one.values.at(-1) ?? 0), 0))],
    ["Verdicts, last hour", said(n)],
    ["Blocked", percent(totals.decision?.block ?? 0, n)],
    ["For review", percent(totals.decision?.review ?? 0, n)],
    ["Cache hits, 5 minutes", percent(hit, hit + miss)],
    ["Cache hits, last hour", percent(totals.cache?.hit ?? 0, total(totals.cache))],
    ["Lag of the workers", group === null || group.total === null ? "not known" : said(group.total)],
    ["Dead letters, last hour", said(total(totals.letter))],
  ];
  if (totals.review) values.push(["Asked of people, last hour", said(total(totals.review))]);
  if (totals.unreadable) values.push(["Not readable as verdicts", said(total(totals.unreadable))]);
  fill(byId("tiles"), ...values.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function lag(group, now) {
  if (group === null) {
    fill(byId("lag"), make("p", { class: "empty" }, "The brokers have not told yet."));
    return;
  }
  const most = Math.max(1, ...group.partitions.map((one) => one.lag ?? 0));
  fill(byId("lag"),
    now - group.at_ms > 15_000 && make("p", { class: "note" }, `As of ${moment(group.at_ms)}.`),
    make("p", {}, group.total === null ? `Group ${group.group} has committed nothing of ${group.topic}.` : `${count(group.total, "record")} of ${group.topic} without an outcome.`),
    make("table", { class: "partitions" },
      make("thead", {}, make("tr", {}, ...["partition", "committed", "end", "lag"].map((name) => make("th", { scope: "col", class: "number" }, name)), make("th", { scope: "col" }, make("span", { class: "unseen" }, "lag as a bar")))),
      make("tbody", {}, ...group.partitions.map((one) => make("tr", {},
        ...[one.partition, one.committed ?? "–", one.high, one.lag ?? "–"].map((value) => make("td", { class: "number" }, String(value))),
        make("td", {}, make("meter", { min: 0, max: most, value: one.lag ?? 0, "aria-label": `Lag of partition ${one.partition}` })),
      )))),
    workers(group.members),
  );
}

function workers(members) {
  if (members === null) return make("p", { class: "hint" }, "Who is in the group is not told to this console.");
  if (!members.length) return make("p", { class: "note" }, "No worker is in the group: nothing is judged.");
  return make("details", {}, make("summary", {}, count(members.length, "worker")),
    make("ul", { class: "members" }, ...members.map((one) => make("li", {}, make("code", {}, one.client_id), ` ${one.host}, ${one.partitions.length ? `partitions ${one.partitions.join(", ")}` : "no partition"}`))));
}

function letters(found) {
  if (!found.length) {
    fill(byId("letters"), make("p", { class: "empty" }, "None since this console began to read."));
    return;
  }
  fill(byId("letters"), make("ul", { class: "letters" }, ...found.map((one) => make("li", {},
    make("p", {}, make("b", {}, spoken(one.reason)), ` ${count(one.n, "record")} in the hour, newest ${moment(one.at_ms)}`),
    make("p", { class: "hint", dir: "auto" }, one.error),
    make("p", { class: "hint" }, make("code", {}, one.source), one.chat_id !== null && " of chat ", one.chat_id !== null && make("a", { href: `/chat?id=${encodeURIComponent(one.chat_id)}`, dir: "auto" }, one.chat_id)),
  ))));
}
