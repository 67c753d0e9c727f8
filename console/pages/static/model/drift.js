// Drift: an index for each mix, with its lines, and the mix itself beside the one it is compared with.

import { byId, fill, make, spoken } from "../dom.js";
import { Plot, percent, svg } from "../figures/svg.js";

const TITLES = { category: "Categories", score: "Banned score", language: "Languages", length: "Longest message" };
const LEVELS = { unknown: "nothing to say", steady: "steady", look: "look at it", alert: "drifted" };
const MEANINGS = {
  steady: "Up to .1 the mix is the one of calibration, as far as it matters.",
  look: "From .1 to .2 the mix has moved: look at where, and at the sample's precision.",
  alert: "Above .2 the traffic is not what the bundle was calibrated on: the guarantee does not speak of it. Label some of it, and calibrate again.",
};

export function showDrift(answer, categories) {
  const names = Object.fromEntries(categories.map(({ code, name }) => [code, spoken(name)]));
  const drifted = answer.watched.filter((one) => one.level === "alert");
  fill(byId("drift"),
    drifted.length > 0 && make("p", { class: "note bad", role: "alert" }, `${drifted.map((one) => TITLES[one.what]).join(", ")}: above the alert line of ${answer.limits.alert}. ${MEANINGS.alert}`),
    make("div", { class: "drifts" }, ...answer.watched.map((one) => mix(one, answer.limits, names))),
    make("p", { class: "hint" }, `Population stability index: 0 is the same mix. ${MEANINGS.steady} ${MEANINGS.look} Counted is what this console has read of the verdict topic, whatever bundle judged.`));
}

function mix(one, limits, names) {
  const label = (kind) => {
    if (one.what === "category") return names[kind.key] ?? kind.key;
    if (one.what === "score") return `.${kind.key} to ${kind.key === "9" ? "1" : `.${Number(kind.key) + 1}`}`;
    return one.what === "length" ? `from ${Number(kind.key).toLocaleString("en")}` : kind.key;
  };
  const why = one.n_found < limits.least
    ? `${one.n_found.toLocaleString("en")} verdicts; from ${limits.least} on an index is told.`
    : "There is nothing to compare with.";
  return make("article", { class: "drift", "data-level": one.level },
    make("h3", {}, TITLES[one.what], " ", make("span", { class: "level" }, LEVELS[one.level])),
    one.psi === null ? make("p", { class: "hint" }, why) : gauge(one, limits),
    make("p", { class: "hint" }, `${one.n_found.toLocaleString("en")} verdicts against ${one.reference}${one.n_unknown > 0 ? `; ${one.n_unknown.toLocaleString("en")} do not tell it` : ""}.`
      + `${one.by_chance === null ? "" : ` By chance alone: ${one.by_chance < 0.001 ? "under .001" : one.by_chance.toFixed(3)}.`}`),
    one.kinds.length > 0 && bars(one, label));
}

/** The index between its lines. */
function gauge(one, limits) {
  const end = Math.max(0.3, Math.min(2, one.psi * 1.15));
  const plot = new Plot({ width: 340, height: 44, endX: end, left: 4, right: 4, top: 4, bottom: 20 });
  const at = (value) => plot.x(value);
  return make("div", { class: "index" }, make("b", {}, one.psi.toFixed(3)),
    plot.drawn(`Index ${one.psi.toFixed(3)}; look from ${limits.look} on, alert above ${limits.alert}`,
      svg("rect", { class: "track", x: at(0), y: 6, width: at(end) - at(0), height: 10, rx: 5 }),
      svg("rect", { class: "fill", x: at(0), y: 6, width: Math.max(3, at(one.psi) - at(0)), height: 10, rx: 5 }),
      ...[["look", limits.look], ["alert", limits.alert]].flatMap(([name, value]) => [
        svg("line", { class: `limit ${name}`, x1: at(value), x2: at(value), y1: 2, y2: 20 }),
        svg("text", { class: "tick", x: at(value), y: 34, "text-anchor": "middle" }, `${name} ${String(value).replace("0.", ".")}`),
      ])));
}

function bars(one, label) {
  const most = Math.max(...one.kinds.map((kind) => Math.max(kind.expected, kind.found)), 0.01);
  const strip = (side, value) => {
    const bar = make("i", { class: side });
    bar.style.setProperty("--share", value / most);
    return bar;
  };
  const table = make("table", { class: "kinds" },
    make("thead", { class: "unseen" }, make("tr", {}, make("th", { scope: "col" }, "kind"), make("th", { scope: "col" }, "bars"), make("th", { scope: "col" }, "then, now"))),
    make("tbody", {}, ...one.kinds.map((kind) => make("tr", { title: `adds ${kind.part.toFixed(3)}` },
      make("th", { scope: "row" }, label(kind)),
      make("td", { class: "strips", "aria-hidden": "true" }, strip("old", kind.expected), strip("new", kind.found)),
      make("td", { class: "number" }, `${one.n_expected > 0 ? percent(kind.expected) : "–"} → ${percent(kind.found)}`)))));
  return make("details", { open: one.level === "alert" || one.level === "look" }, make("summary", {}, "Then and now"),
    make("ul", { class: "key", "aria-hidden": "true" }, make("li", { class: "old" }, "compared with"), make("li", { class: "new" }, "verdicts")), table);
}
