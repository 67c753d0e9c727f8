// Why a verdict is as it is, in sentences: what `worker explain` knows of it.

import { make, share, spoken } from "../dom.js";

const STEP = 1e-6;

const BY = {
  model: "The model's evidence under the policy decided.",
  nothing_banned: "The policy bans nothing.",
  unevaluated: "Something of the conversation was not judged.",
  hold: "An earlier decision on the conversation still holds.",
  floor: "A category that no policy may allow decided.",
  advertiser: "An advertiser's own policy decided.",
  deny_list: "The chat is on a list.",
  override: "A person decided.",
};

/** The account of one outcome with a verdict. */
export function why({ verdict, explanation }) {
  const score = verdict.banned_probability;
  const lines = [
    `${BY[verdict.decided_by] ?? `Decided by ${spoken(verdict.decided_by ?? "model")}.`} Stage ${spoken(verdict.stage ?? "model")} answered.`,
    verdict.unevaluated?.length ? `Not judged: ${verdict.unevaluated.map(spoken).join(", ")}.` : null,
    verdict.previous ? `Before, it was ${verdict.previous.decision}.` : null,
    verdict.model_decision ? `The policy alone says ${verdict.model_decision}.` : null,
    `Banned probability ${share(score)}; of banned chats a share of ${share(verdict.banned_to_safe_risk)} at most would pass if all up to here were allowed.`,
    borders(explanation.policy),
  ];
  return make("div", {},
    ...lines.filter((line) => line !== null).map((line) => make("p", {}, line)),
    explanation.unknown !== null && make("p", { class: "note" }, atHand(explanation.unknown)),
    explanation.changes.length > 0 && make("ul", { class: "other-ways", "aria-label": "What would have changed the decision" }, ...explanation.changes.map((change) => make("li", {}, ...wouldBe(change)))),
  );
}

/** The command has options for it; the console has settings. */
const atHand = (text) => text.replace(/; name (its folder, or a registry that held it, with --bundle|its file with --policy)/u, "; the console has what MODERATION_MODEL__PATH, MODERATION_MODEL__POLICY_PATH and its own bundle name");

function borders(policy) {
  if (policy === null) return null;
  const allow = policy.allow_up_to === null ? "allows nothing" : `allows up to ${share(policy.allow_up_to)}`;
  const block = policy.block_from === null ? "blocks by no score" : `blocks from ${share(policy.block_from)}`;
  return `Policy ${policy.name} ${policy.version} ${allow} and ${block}${policy.proven ? "" : " (known by name and version only)"}.`;
}

function wouldBe({ what, decision, code, found, needed, reasons }) {
  const would = ["It would be ", make("b", { "data-decision": decision }, decision)];
  if (what === "score") return [...would, ` at a banned probability of ${fine(needed)} in place of ${fine(found)}.`];
  if (what === "evidence") return [...would, " with evidence of ", make("code", {}, code), ` at ${fine(needed)} in place of ${fine(found)}.`];
  if (what === "category") return [...would, " with ", make("code", {}, code), " as the most probable category."];
  return [...would, ` if all had been judged (${reasons.map(spoken).join(", ")}).`];
}

/** As many digits as the border has: rounded to three, a border and what is beside it would look the same. */
const fine = (value) => (Math.abs(value - Number(value.toFixed(3))) < STEP ? value.toFixed(3) : value.toFixed(6));
