// Which messages and words moved the verdict: the server asks the model again without each of them.

import { byId, count, fill, make } from "../dom.js";

const MOST_NAMED = 5;
const LEAST = 0.005;
let asked = null;
let known = null;

const measure = () => document.querySelector("input[name=measure]:checked").value;
const signed = (value) => (Math.abs(value) < LEAST ? "0.00" : `${value < 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`);

/** Forgets what was shown; `question` is what will be asked about, null for nothing. */
export function reset(question) {
  asked = question;
  known = null;
  byId("explain").disabled = question === null;
  fill(byId("influence"));
}

export function start(ask) {
  byId("explain").addEventListener("click", () => explain(ask, null));
  byId("measure").addEventListener("change", () => known && show(ask));
}

async function explain(ask, message) {
  const question = asked;
  byId("explain").disabled = true;
  if (known === null) fill(byId("influence"), make("p", { class: "hint" }, "Asking…"));
  try {
    const messages = known?.messages ?? (await ask("/try/influence", question));
    const strongest = Math.max(...messages.parts.map((part) => Math.abs(part.category_drop ?? 0)));
    const chosen = message ?? (messages.parts.find((part) => Math.abs(part.category_drop ?? 0) === strongest) ?? messages.parts[0]).message;
    if (question !== asked) return;
    known = { messages, chosen, words: await ask("/try/influence", { ...question, message: chosen }) };
    if (question === asked) {
      show(ask);
      byId("heard").textContent = "Found what moved it.";
    }
  } catch (refused) {
    if (question === asked) fill(byId("influence"), make("p", { class: "refused" }, refused.message));
  }
  byId("explain").disabled = asked === null;
}

function show(ask) {
  const by = measure();
  const { messages, words, chosen } = known;
  const most = Math.max(LEAST, ...words.parts.map((part) => Math.abs(part[by] ?? 0)));
  const named = words.parts.filter((part) => Math.abs(part[by] ?? 0) >= LEAST && part.text.trim())
    .sort((a, b) => Math.abs(b[by]) - Math.abs(a[by])).slice(0, MOST_NAMED);
  fill(
    byId("influence"),
    messages.parts.length > 1 && make("ol", { class: "moved" }, ...messages.parts.map((part) => make("li", {},
      make("button", { type: "button", "aria-pressed": String(part.message === chosen), onclick: () => explain(ask, part.message) },
        make("span", { class: "head", dir: "auto" }, part.text.slice(0, 80)), effect(part[by]))))),
    make("p", { class: "words", dir: "auto", "aria-label": "The message, its words coloured by their effect" }, ...words.parts.map((part) => {
      const word = make("mark", { title: part[by] === null ? "not asked" : `without it: ${signed(part[by])}`, "data-way": (part[by] ?? 0) < 0 ? "against" : "for" }, part.text);
      word.style.setProperty("--share", Math.min(1, Math.abs(part[by] ?? 0) / most));
      return word;
    })),
    named.length
      ? make("ul", { class: "named", "aria-label": "Words with the largest effect" }, ...named.map((part) => make("li", {}, make("q", { dir: "auto" }, part.text.trim()), effect(part[by]))))
      : make("p", { class: "hint" }, words.parts.length > 1 ? "No single word moves it." : "The message has one word only."),
    !(messages.is_complete && words.is_complete) && make("p", { class: "note" }, "The deadline passed before all were asked about."),
    make("p", { class: "hint" }, `How ${by === "category_drop" ? `the evidence of category ${words.category}` : "the banned probability"} changes without a part; ${count(words.parts.length, "part")} asked about.`),
  );
}

function effect(value) {
  return make("span", { class: "effect", "data-way": (value ?? 0) < 0 ? "against" : "for" }, value === null ? "not asked" : signed(value));
}
