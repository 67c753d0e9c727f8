// How often answers are right: of oneself, of the automation, and how far reviewers agree.

import { byId, count, fill, make, spoken } from "../dom.js";
import { asked } from "./asking.js";
import { percent } from "./words.js";

const DAYS = [7, 30, 90];
let days = 30;

/** Shows the tab. */
export async function show(setup) {
  const found = await asked(`/review/figures?days=${days}`);
  const nameOf = (code) => spoken(setup.categories.find((one) => one.code === code)?.name ?? code);
  fill(byId("figures-all"),
    make("label", { class: "days" }, "Of the last ", make("select", { "aria-label": "Days", onchange: (event) => { days = Number(event.target.value); show(setup); } },
      ...DAYS.map((n) => make("option", { value: n, selected: n === days }, `${n} days`)))),
    found.is_admin && make("p", { class: "hint" }, "Everybody's decisions, without texts: ", make("a", { download: true, href: "/review/export/everybody?format=csv" }, "CSV"), ", ",
      make("a", { download: true, href: "/review/export/everybody?format=jsonl" }, "JSON lines"), "."),
    precision(found, nameOf),
    reviewers(found, setup.person),
    agreement(found, nameOf));
}

const cells = (...values) => values.map((value) => make("td", { class: typeof value === "string" ? "number" : false }, value));
const number = (value) => value.toLocaleString("en");

function table(title, note, heads, rows, empty) {
  if (!rows.length) return make("section", {}, make("h3", {}, title), make("p", { class: "hint" }, empty));
  return make("section", {}, make("h3", {}, title), make("p", { class: "hint" }, note),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, make("table", {},
      make("thead", {}, make("tr", {}, ...heads.map((head, i) => make("th", { scope: "col", class: i > 0 && "number" }, head)))),
      make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), ...cells(...rest)))))));
}

/** A share with its interval, as a bar of what is possible and as numbers. */
function share({ value, low, high }) {
  if (value === null) return "–";
  const bar = make("span", { class: "range", "aria-hidden": "true" }, make("i"), make("b"));
  bar.firstChild.style.setProperty("--low", low);
  bar.firstChild.style.setProperty("--high", high);
  bar.lastChild.style.setProperty("--at", value);
  return make("span", { class: "share" }, bar, make("span", {}, `${percent(value)} `, make("span", { class: "hint" }, `${percent(low)} to ${percent(high)}`)));
}

function precision({ precision_overall: all, precision: each }, nameOf) {
  const row = (one) => [
    one.category === null ? make("b", {}, `${one.policy}: `, make("b", { "data-decision": one.decision }, one.decision)) : make("span", { class: "sub" }, nameOf(one.category)),
    share(one.precision), `${number(one.n_answered)} of ${number(one.n_drawn)}`,
  ];
  const rows = all.flatMap((whole) => [row(whole), ...each.filter((one) => one.policy === whole.policy && one.decision === whole.decision).map(row)]);
  return table("May the automation be trusted?", "Of a random sample of what was decided without people: how often a person, blind to the decision, says the same. With the interval at 95 %.",
    ["Decision", "Right", "Answered"], rows, "No automatic decision was drawn for this queue yet (review.sample_per_stratum).");
}

function reviewers({ reviewers: rows, is_admin: isAdmin }, person) {
  return table(isAdmin ? "Reviewers" : "You", "Accuracy counts items whose answer is known and stands unseen among the others. The interval is at 95 %.",
    ["Reviewer", "Answers", "An hour", "Known items", "Right decision", "Right category"],
    rows.map((one) => [
      one.reviewer === person ? `${one.reviewer} (you)` : one.reviewer, number(one.n_answers),
      one.items_an_hour === null ? "–" : number(Math.round(one.items_an_hour)), number(one.n_gold), share(one.gold_accuracy), share(one.gold_category_accuracy),
    ]), "No answers yet.");
}

function agreement({ agreement: all, agreement_by_category: byCategory, pairs, model, model_by_category: byModel }, nameOf) {
  const of = ({ n_items: n, agreement_ratio: ratio, kappa }) => [number(n), ratio === null ? "–" : percent(ratio), kappa === null ? "–" : kappa.toFixed(2)];
  const together = table("Do reviewers agree?", "Items with several opinions. Kappa is agreement beyond chance: 1 is full, 0 is what chance gives.",
    ["", "Items", "Same answer", "Kappa"],
    all.n_items === 0 ? [] : [[make("b", {}, "All"), ...of(all)], ...Object.entries(byCategory).map(([code, one]) => [nameOf(code), ...of(one)]),
      ...pairs.map((pair) => [pair.reviewers.join(" and "), ...of(pair)])],
    "No item has several opinions (review.opinions).");
  const line = (one) => [`${number(one.n_same)} of ${number(one.n_named)}`, one.n_named ? percent(one.n_same / one.n_named) : "–", one.n_named_blind ? percent(one.n_same_blind / one.n_named_blind) : "–"];
  const withModel = table("Do they agree with the model?", `Of the answers that name a category: ${count(model.n_named, "answer")}.`,
    ["Model's category", "The same", "Share", "Of blind answers"],
    model.n_named === 0 ? [] : [[make("b", {}, "All"), ...line(model)], ...Object.entries(byModel).map(([code, one]) => [nameOf(code), ...line(one)])],
    "No answer named a category yet.");
  return make("div", {}, together, withModel);
}
