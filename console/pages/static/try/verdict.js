// The verdict: decision, figures, and a bar for each category.

import { byId, fill, make, share, spoken } from "../dom.js";

const MEANINGS = { allow: "Nothing stands against it.", block: "Not to be shown.", review: "A person decides." };
const STAGES = { first_stage: "first stage alone", transformer: "transformer", head: "head on a frozen encoder" };
const REASONS = {
  length: "the users wrote more than is read",
  failure: "the model failed on a piece",
  language: "the bundle was not calibrated on this language",
  uncalibrated: "the bundle was never calibrated",
};

export function showVerdict(verdict, bundle) {
  byId("heard").textContent = `Verdict: ${verdict.decision}. ${spoken(verdict.category.name)}, banned probability ${share(verdict.banned_probability)}.`;
  const others = Object.entries(verdict.decisions).filter(([name]) => name !== verdict.policy.name);
  fill(
    byId("verdict"),
    make("p", { class: "decision", "data-decision": verdict.decision },
      make("strong", {}, verdict.decision), " ", make("span", {}, MEANINGS[verdict.decision] ?? "")),
    make("p", { class: "category" }, make("b", {}, spoken(verdict.category.name)), " ", make("code", {}, verdict.category.code)),
    make("dl", { class: "figures" },
      ...figure("Banned probability", share(verdict.banned_probability), "The evidence of all banned categories."),
      ...figure("Risk", bundle.is_calibrated ? share(verdict.banned_to_safe_risk) : "unknown", "Share of banned conversations that would pass if all that look at most this banned were allowed."),
      ...figure("Answered by", STAGES[verdict.stage] ?? verdict.stage),
      ...figure("Policy", `${verdict.policy.name} ${verdict.policy.version}`),
      ...figure("Decided by", verdict.decided_by.replaceAll("_", " ")),
      ...(verdict.language ? figure("Language", verdict.language) : []),
    ),
    verdict.unevaluated.length > 0 && make("p", { class: "note" }, `Not all of it counts: ${verdict.unevaluated.map((reason) => REASONS[reason] ?? reason).join("; ")}.`),
    others.length > 0 && make("ul", { class: "policies", "aria-label": "Other policies" },
      ...others.map(([name, { decision, version }]) => make("li", {}, `${name} ${version}: `, make("b", { "data-decision": decision }, decision)))),
    bars(verdict, bundle),
  );
}

function figure(name, value, title = null) {
  return [make("div", { title }, make("dt", {}, name), make("dd", {}, value))];
}

function bars(verdict, bundle) {
  const banned = new Set(bundle.categories.filter((one) => one.is_banned).map((one) => one.code));
  const rows = bundle.categories.map(({ code, name, description }) => ({
    code, name, description, probability: verdict.probabilities[code], evidence: verdict.evidence[code],
  }));
  rows.sort((a, b) => b.probability - a.probability);
  return make("ol", { class: "bars", "aria-label": "Probabilities of all categories" }, ...rows.map((row) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("i"), make("u"));
    bar.firstChild.style.setProperty("--share", row.probability);
    bar.lastChild.style.setProperty("--share", row.evidence);
    const more = row.evidence > row.probability ? `, evidence ${share(row.evidence)} from a piece` : "";
    return make("li", { class: banned.has(row.code) && "banned", title: row.description },
      make("span", { class: "name" }, make("span", {}, spoken(row.name)), banned.has(row.code) && make("span", { class: "tag" }, "banned")),
      bar,
      make("span", { class: "number" }, share(row.probability), more && make("span", { class: "unseen" }, more)));
  }));
}
