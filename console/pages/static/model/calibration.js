// Calibration: how many chats, what is promised on them, how reliable the probabilities are, and what is mistaken for what.

import { byId, fill, make, spoken } from "../dom.js";
import { Plot, percent, svg } from "../figures/svg.js";

export function showCalibration(figures) {
  const found = figures.calibration;
  if (found === null) {
    for (const id of ["calibration", "reliability", "confusion"]) fill(byId(id), make("p", { class: "empty" }, "The bundle was never calibrated: both risks count as 1, and nothing that is banned is allowed."));
    return;
  }
  const { banned_to_safe: passed, safe_to_banned: lost } = found.guarantee;
  fill(byId("calibration"),
    make("dl", { class: "numbers" },
      ...number("Calibration chats", `${found.n.toLocaleString("en")}`, `${found.n_banned.toLocaleString("en")} banned under ${figures.policy}`),
      ...number("Right category", percent(found.accuracy.value), interval(found.accuracy.interval)),
      ...number("Banned, allowed", passed.threshold === null ? "never" : `at most ${percent(passed.bound, 2)}`, promised(passed)),
      ...number("Safe, blocked", lost.threshold === null ? "never" : `at most ${percent(lost.bound, 2)}`, promised(lost)),
      ...number("Calibration error, category", percent(found.confidence_error), "mean gap between confidence and share that is right"),
      ...number("Calibration error, banned", percent(found.banned_error), "mean gap between score and share that is banned")),
    make("p", { class: "hint" }, "These chats neither trained the bundle nor chose its temperature. Intervals are of 95 % (Clopper-Pearson)."));
  fill(byId("reliability"), make("div", { class: "plots" },
    diagram(found.confidence, "confidence in the named category", "share that is right"),
    diagram(found.banned, "banned score", "share that is banned")));
  fill(byId("confusion"), matrix(found.confusion, figures.categories), perCategory(found.confusion, figures.categories));
}

const interval = ([low, high]) => `${percent(low)} to ${percent(high)}`;

function promised(promise) {
  if (promise.threshold === null) return `needs ${promise.n_needed.toLocaleString("en")} chats, there are ${promise.of.toLocaleString("en")}`;
  return `accepted ${percent(promise.accepted, 2)}; here ${promise.n} of ${promise.of.toLocaleString("en")}, ${percent(promise.low, 2)} to ${percent(promise.high, 2)}`;
}

function number(name, value, more) {
  return [make("div", {}, make("dt", {}, name), make("dd", {}, value), make("dd", { class: "more" }, more))];
}

/** Each bin as a dot with its interval; on the line what is stated is what is so. */
function diagram(bins, nameX, nameY) {
  const plot = new Plot({ width: 340, height: 320, left: 56 });
  const words = bins.map((bin) => `stated ${percent(bin.stated, 0)}, found ${percent(bin.found, 0)} of ${bin.n}`).join("; ");
  return make("figure", { class: "figure" }, plot.drawn(`Reliability: ${nameX} against ${nameY}. ${words}.`,
    ...plot.axes({ nameX, nameY }),
    svg("line", { class: "ideal", x1: plot.x(0), y1: plot.y(0), x2: plot.x(1), y2: plot.y(1) }),
    ...bins.flatMap((bin) => [
      svg("line", { class: "spread", x1: plot.x(bin.stated), x2: plot.x(bin.stated), y1: plot.y(bin.least), y2: plot.y(bin.most) }),
      svg("circle", { class: "new", cx: plot.x(bin.stated), cy: plot.y(bin.found), r: 2.5 + Math.min(5, Math.sqrt(bin.n) / 5) },
        svg("title", {}, `${percent(bin.low, 0)} to ${percent(bin.high, 0)}: stated ${percent(bin.stated)}, found ${percent(bin.found)} (${bin.n_true} of ${bin.n})`)),
    ])));
}

function matrix(confusion, categories) {
  const totals = confusion.map((row) => row.reduce((sum, n) => sum + n, 0));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, make("table", { class: "matrix" },
    make("caption", {}, "Rows: the true category. Columns: the named one. Calibration chats."),
    make("thead", {}, make("tr", {}, make("td"), ...categories.map(({ code, name, is_banned: isBanned }) => make("th", { scope: "col", title: spoken(name), class: isBanned && "banned" }, code)))),
    make("tbody", {}, ...confusion.map((row, i) => make("tr", {},
      make("th", { scope: "row", class: categories[i].is_banned && "banned" }, make("span", {}, spoken(categories[i].name)), " ", make("code", {}, categories[i].code)),
      ...row.map((n, j) => {
        const crosses = categories[i].is_banned !== categories[j].is_banned;
        const cell = make("td", { class: i === j ? "right" : crosses ? "crosses" : "wrong", title: `${spoken(categories[i].name)} named ${spoken(categories[j].name)}: ${n}` }, n === 0 ? "" : String(n));
        cell.style.setProperty("--share", totals[i] === 0 ? 0 : n / totals[i]);
        return cell;
      }))))));
}

function perCategory(confusion, categories) {
  const rows = categories.map(({ code, name }, i) => {
    const [support, named] = [confusion[i].reduce((sum, n) => sum + n, 0), confusion.reduce((sum, row) => sum + row[i], 0)];
    return [`${spoken(name)} (${code})`, named === 0 ? "–" : percent(confusion[i][i] / named), support === 0 ? "–" : percent(confusion[i][i] / support), support.toLocaleString("en")];
  });
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Precision and recall" }, make("table", { class: "sheet dense" },
      make("caption", {}, "Of each category, on the same chats."),
      make("thead", {}, make("tr", {}, ...["category", "precision", "recall", "chats"].map((title, i) => make("th", { scope: "col", class: i > 0 && "number" }, title)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) => make("td", { class: i > 0 && "number" }, cell)))))));
}
