// One outcome of a chat: a verdict with what changed and why, a dead letter or a tombstone.

import { make, share, spoken } from "../dom.js";
import { wholeMoment } from "../time.js";
import { forms } from "./forms.js";
import { why } from "./why.js";
import { textOf } from "./text.js";

const KINDS = {
  dead_letter: "No verdict: the record was put aside",
  tombstone: "The chat was to be forgotten",
  unreadable: "A record that this release cannot read",
};

/** Makes the item of one outcome. */
export function outcome(one, context) {
  return one.verdict === undefined ? other(one) : verdictItem(one, context);
}

const published = (one) => (one.published_at === null ? "no time" : wholeMoment(Date.parse(one.published_at)));
const place = (one) => `${one.topic}[${one.partition}]@${one.offset}`;

function other(one) {
  return make("li", { class: "outcome panel other" },
    make("header", {}, make("h3", {}, KINDS[one.kind] ?? spoken(one.kind)), one.in_force && tag("in force"), make("time", {}, published(one))),
    make("p", {}, one.reason && make("b", {}, spoken(one.reason)), one.error && ` ${one.error}`),
    make("p", { class: "hint" }, make("code", {}, place(one))),
  );
}

const tag = (text) => make("span", { class: "tag" }, text);

function verdictItem(one, context) {
  const { verdict } = one;
  return make("li", { class: "outcome panel", "data-decision": verdict.decision },
    make("header", {},
      make("h3", {}, make("strong", {}, verdict.decision), ` ${verdict.category.code} ${spoken(verdict.category.name)}`),
      one.in_force && tag("in force"),
      verdict.kind === "override" && tag("a person's word"),
      verdict.replay_id && tag("replay"),
      make("time", {}, published(one))),
    changed(one.changed),
    make("div", { class: "why" }, make("h4", {}, "Why"), why(one)),
    details(one),
    context.decides && one.source && textOf(one, context),
    context.decides && one.source && forms(one, context),
  );
}

const NAMES = {
  decision: "decision", decided_by: "decided by", category: "category", score: "banned probability", language: "language", stage: "answered by", policy_version: "policy's version",
  policy_name: "default policy", model: "model", rules_version: "rules", taxonomy: "taxonomy", actor: "who decided", policies: "other policies",
};

function changed(changes) {
  if (changes === null || changes === undefined) return make("p", { class: "hint" }, "The first verdict that was found.");
  if (!changes.length) return make("p", { class: "hint" }, "Says the same as the verdict before it.");
  return make("ul", { class: "changed", "aria-label": "What changed since the verdict before it" }, ...changes.map(({ what, before, after }) => {
    if (what === "text") return make("li", {}, "the text is another one");
    if (what === "policies") return make("li", {}, "other policies: ", ...Object.keys(after).flatMap((name, i) => [i ? ", " : "", make("bdi", {}, name), ` ${before[name] ?? "none"} → ${after[name] ?? "none"}`]));
    return make("li", {}, `${NAMES[what] ?? what} `, step(what, before), " → ", step(what, after));
  }));
}

const shown = (what, value) => (value === null || value === undefined ? "none" : what === "score" ? share(value) : String(value));
const step = (what, value) => make(what === "decision" ? "b" : "bdi", { "data-decision": what === "decision" && value }, shown(what, value));

function details(one) {
  const { verdict } = one;
  const evidence = Object.entries(verdict.evidence ?? verdict.probabilities ?? {}).sort(([, a], [, b]) => b - a);
  const facts = [
    ["verdict", verdict.verdict_id], ["event", verdict.event_id], ["model", `${verdict.model.name} ${verdict.model.version}`], ["language", verdict.language], ["answered by", spoken(verdict.stage ?? "–")],
    ["cache", verdict.cache_hit ? "probabilities were cached" : "computed"], ["record", one.source ? `${one.source.topic}[${one.source.partition}]@${one.source.offset}` : null], ["verdict's record", place(one)], ["fingerprint", verdict.content_fingerprint],
  ];
  return make("details", {}, make("summary", {}, "Evidence, policies and ids"),
    make("div", { class: "split" },
      make("table", {}, make("caption", {}, "Evidence"), make("tbody", {}, ...evidence.map(([code, value]) => make("tr", {}, make("th", { scope: "row" }, code), make("td", {}, make("meter", { min: 0, max: 1, value, "aria-label": `Evidence of ${code}` })), make("td", { class: "number" }, share(value)))))),
      make("div", {},
        make("table", {}, make("caption", {}, "Policies"), make("tbody", {}, ...Object.entries(verdict.decisions ?? {}).slice(0, 100).map(([name, said]) => make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, `${name} ${said.version}`)), make("td", {}, make("b", { "data-decision": said.decision }, said.decision)), make("td", {}, spoken(said.decided_by)))))),
        make("dl", { class: "facts" }, ...facts.filter(([, value]) => value !== null && value !== undefined).flatMap(([name, value]) => [make("dt", {}, name), make("dd", { dir: "auto" }, String(value))])))));
}
