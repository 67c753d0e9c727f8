// Small plots of counts by minute, as SVG.

import { fill, make } from "../dom.js";
import { moment } from "../time.js";

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 240;

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The path of a line; a value for each minute, `top` is the whole height. */
function line(values, first, top, height) {
  const step = WIDTH / Math.max(1, values.length - 1);
  return values.slice(first).map((value, i) => `${i ? "L" : "M"}${((i + first) * step).toFixed(1)} ${(height - 1 - (value / top) * (height - 3)).toFixed(1)}`).join("");
}

/**
 * A plot of several lines over the same minutes.
 * `lines`: [{ name, values, tone }]; `first`: index of the first minute that was counted. The last value is of a whole minute.
 */
export function plot(lines, minutes, first, { height = 110, legend = true } = {}) {
  const top = Math.max(1, ...lines.flatMap(({ values }) => values));
  const now = ({ values }) => values.at(-1) ?? 0;
  const spoken = lines.map((one) => `${one.name}: ${now(one).toLocaleString("en")} in the last minute, ${Math.max(0, ...one.values).toLocaleString("en")} at most`).join("; ");
  const picture = draw("svg", { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": spoken, class: "plot" });
  for (const { values, tone } of lines) {
    const path = line(values, first, top, height);
    if (!path) continue;
    if (lines.length === 1) picture.append(draw("path", { d: `${path}V${height}H${((first * WIDTH) / Math.max(1, values.length - 1)).toFixed(1)}Z`, class: `area ${tone}` }));
    picture.append(draw("path", { d: path, class: `line ${tone}`, "vector-effect": "non-scaling-stroke" }));
  }
  return make("figure", {},
    legend && make("figcaption", {}, ...lines.map((one) => make("span", { class: `key ${one.tone}` }, `${one.name} `, make("b", {}, now(one).toLocaleString("en"))))),
    picture,
    make("div", { class: "axis" }, make("span", {}, minutes.length ? moment(minutes[0]).slice(0, -3) : ""), make("span", {}, `at most ${top.toLocaleString("en")}`), make("span", {}, minutes.length ? moment(minutes.at(-1)).slice(0, -3) : "")),
  );
}

/** Puts plots in place of what an element holds. */
export function show(element, plots, nothing) {
  fill(element, ...(plots.length ? plots : [make("p", { class: "empty" }, nothing)]));
}
