// What stands beside a chat: why it asks, what the policy says, scores, and what was said of the same text before.

import { byId, fill, make, share, spoken } from "../dom.js";
import { now } from "./asking.js";
import { done, kindOf, moment, span, unevaluatedOf, why } from "./words.js";

const SHOWN_SCORES = 5;
let setup = null;

export const start = (settings) => { setup = settings; };

/** What the taxonomy says of a category; another taxonomy's is known by its code alone. */
export function categoryOf(item, code) {
  const isOurs = item.taxonomy.name === setup.taxonomy.name && item.taxonomy.version === setup.taxonomy.version;
  const found = isOurs && setup.categories.find((one) => one.code === code);
  return found || { code, name: code, description: "" };
}

/** The categories that an answer may name: the banned ones first, so that each keeps its number. */
export function categoriesOf(item) {
  const banned = new Set(policyOf(item)?.banned ?? []);
  const known = item.taxonomy.name === setup.taxonomy.name ? setup.categories : item.codes.map((code) => categoryOf(item, code));
  return [...known.filter((one) => banned.has(one.code)), ...known.filter((one) => !banned.has(one.code))];
}

export const policyOf = (item) => setup.policies.find((one) => one.name === item.queue) ?? setup.policies[0] ?? null;

export function show(claim) {
  const { item } = claim;
  fill(byId("details"),
    claim.was_skipped && make("p", { class: "note" }, "You skipped this before; nothing else waits for you here."),
    blindNote(item),
    claim.opinions.length > 0 && opinions(item, claim.opinions),
    !item.is_blind && asks(item),
    claim.appeal && appealOf(claim.appeal),
    !item.is_blind && scores(item),
    policyText(item),
    ...othersAsking(item),
    !item.is_blind && before(claim.earlier),
    make("div", { id: "similar" }),
    facts(item));
}

/** Chats like this one that people decided before; known once its text was read. null: not to be seen, or not known. */
export function showSimilar(some) {
  if (!some) return;
  const of = (one) => make("li", {},
    make("b", {}, `${one.is_near ? "Near-identical" : "Alike"}, ${Math.round(100 * one.alike)} %`), `: ${moment(one.at_ms)} `,
    make("b", { "data-decision": one.outcome }, done(one.outcome).toLowerCase()), ` by ${one.reviewer}`,
    one.reason && ` (${spoken(one.reason).toLowerCase()})`,
    make("span", { class: "hint" }, ` · item ${one.item_id} · ${one.queue} · ${spoken(categoryOf({ taxonomy: one.taxonomy }, one.named_category ?? one.category).name)}`));
  fill(byId("similar"), section("Similar chats", some.length > 0
    ? make("ul", { class: "plain" }, ...some.map(of))
    : make("p", { class: "hint" }, "No chat like this one was decided before.")));
}

const section = (title, ...children) => make("section", { "aria-label": title }, make("h3", {}, title), ...children);

function blindNote(item) {
  if (item.is_blind) return make("p", { class: "note" }, "A sample for quality: what the model said is hidden until you have answered.");
  if (item.n_wanted > 1 && !item.is_disputed) return make("p", { class: "note" }, `One of ${item.n_wanted} opinions: what others answered is hidden.`);
  return null;
}

function opinions(item, said) {
  return section("Reviewers disagree", make("ul", { class: "plain" }, ...said.map((one) => make("li", {},
    make("b", { "data-decision": one.outcome }, one.outcome),
    one.category && ` · ${spoken(categoryOf(item, one.category).name)}`, one.reason && ` · ${spoken(one.reason)}`,
    one.note && make("q", { dir: "auto" }, one.note)))), make("p", { class: "hint" }, "Your answer is final."));
}

function asks(item) {
  const { name } = categoryOf(item, item.category);
  const asking = item.policies.map((policy) => make("li", {},
    make("b", {}, `${policy.name} ${policy.version}`), " ", policy.decision && make("b", { "data-decision": policy.decision }, policy.decision), " ",
    make("span", { class: "hint" }, why(policy, isSoft(policy, item)))));
  return section(item.kind === "appeal" ? "What was decided" : "Why it asks",
    make("div", { class: "chips" },
      make("span", { class: "chip strong" }, spoken(name)),
      item.language && make("span", { class: "chip", title: "Language" }, item.language),
      make("span", { class: "chip", title: "Score of the policy that asks" }, `risk ${share(item.risk)}`)),
    make("ul", { class: "plain" }, ...asking),
    item.kind === "review" && make("p", { class: "hint" }, `Your answer counts for ${item.policies.map(({ name }) => name).join(", ")}.`),
    item.unevaluated.length > 0 && make("p", { class: "note" }, `Not all of it counts: ${item.unevaluated.map(unevaluatedOf).join("; ")}.`));
}

const isSoft = ({ name, version }, item) => setup.policies.some((one) => one.name === name && one.version === version && one.should.includes(item.category));

function appealOf(appeal) {
  const answer = appeal.original;
  return section("Appeal",
    make("p", { class: "note" }, make("b", {}, spoken(appeal.reason)), appeal.note ? ": " : "", make("span", { dir: "auto" }, appeal.note ?? "")),
    answer && make("p", {}, "Decided before: ", make("b", { "data-decision": answer.outcome }, answer.outcome),
      answer.reason ? ` for ${spoken(answer.reason).toLowerCase()}` : "", `, ${moment(answer.at_ms)}`));
}

function scores(item) {
  const banned = new Set(policyOf(item)?.banned ?? []);
  const rows = Object.entries(item.evidence).sort((a, b) => b[1] - a[1]);
  const list = (some) => make("ol", { class: "bars" }, ...some.map(([code, value]) => {
    const { name } = categoryOf(item, code);
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("i"));
    bar.firstChild.style.setProperty("--share", value);
    return make("li", { class: banned.has(code) && "banned" }, make("span", { class: "name" }, spoken(name)), bar, make("span", { class: "number" }, share(value)));
  }));
  return section("Evidence",
    list(rows.slice(0, SHOWN_SCORES)),
    rows.length > SHOWN_SCORES && make("details", {}, make("summary", {}, `${rows.length - SHOWN_SCORES} more`), list(rows.slice(SHOWN_SCORES))));
}

/** The other policies that ask; their texts count as much, since the answer counts for them as well. */
function othersAsking(item) {
  if (item.kind !== "review" || item.is_blind) return [];
  const first = policyOf(item)?.name;
  return item.policies.filter(({ name }) => name !== first).map(({ name, version }) => {
    const policy = setup.policies.find((one) => one.name === name);
    const banned = policy?.banned.map((code) => spoken(categoryOf(item, code).name)) ?? [];
    return section(`Policy ${name} ${policy?.version ?? version}`,
      policy?.note && make("p", {}, policy.note),
      policy
        ? make("details", {}, make("summary", {}, `Banned: ${banned.length}`), make("ul", { class: "plain" }, ...banned.map((one) => make("li", {}, one))))
        : make("p", { class: "hint" }, "This console does not have its text: it was taken out of use."));
  });
}

function policyText(item) {
  const policy = policyOf(item);
  const banned = new Set(policy?.banned ?? []);
  const of = (category) => make("li", {}, make("b", {}, spoken(category.name)), category.description ? `: ${category.description}` : "");
  const all = categoriesOf(item);
  const shown = item.is_blind ? [] : [categoryOf(item, item.category)];
  return section(policy ? `Policy ${policy.name} ${policy.version}` : "Policy",
    shown.length > 0 && make("ul", { class: "plain" }, ...shown.map(of)),
    policy?.note && make("p", {}, policy.note),
    make("details", { open: item.is_blind }, make("summary", {}, `Banned: ${all.filter((one) => banned.has(one.code)).length} of ${all.length}`),
      make("ul", { class: "plain" }, ...all.filter((one) => banned.has(one.code)).map(of))),
    make("details", {}, make("summary", {}, "All other categories"),
      make("ul", { class: "plain" }, ...all.filter((one) => !banned.has(one.code)).map(of))),
    setup.taxonomy.rules && make("details", {}, make("summary", {}, "Rules for doubtful cases"), make("p", { class: "rules" }, setup.taxonomy.rules)));
}

function before(earlier) {
  if (!earlier) return null;
  const of = (one) => {
    const { name } = categoryOf({ taxonomy: one.taxonomy }, one.category);
    const said = one.answers.map((answer) => make("span", {}, " · ", make("b", { "data-decision": answer.outcome }, done(answer.outcome).toLowerCase()),
      ` by ${answer.reviewer}`, answer.reason && ` (${spoken(answer.reason).toLowerCase()})`, answer.undone && " taken back",
      answer.note && make("q", { dir: "auto" }, answer.note)));
    return make("li", {}, `${moment(one.decided_ms)}: ${spoken(name)}`, one.answers.length === 0 && make("span", { class: "hint" }, one.state === "open" ? " · not answered yet" : " · closed"), ...said);
  };
  const list = (title, some) => some.length > 0 && [make("h4", {}, title), make("ul", { class: "plain" }, ...some.map(of))];
  const parts = [list("The same chat", earlier.same_chat), list("The same text in other chats", earlier.same_text)].filter(Boolean).flat();
  return section("Earlier", ...(parts.length ? parts : [make("p", { class: "hint" }, "Neither this chat nor this text was here before.")]));
}

function facts(item) {
  const rows = [
    ["Item", `${item.id} · ${kindOf(item)} · ${item.queue}`],
    ["Waiting", span(now() - item.arrived_ms)],
    item.chat_id && ["Chat", item.chat_id],
    item.model && ["Model", `${item.model.name} ${item.model.version}`],
    item.source && ["Record", `${item.source.topic} [${item.source.partition}] ${item.source.offset}`],
  ].filter(Boolean);
  return make("dl", { class: "facts" }, ...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    item.chat_id && make("div", {}, make("dt", {}, "History"), make("dd", {}, make("a", { href: `/chat?id=${encodeURIComponent(item.chat_id)}`, target: "_blank", rel: "noopener" }, "all verdicts of this chat"))));
}
