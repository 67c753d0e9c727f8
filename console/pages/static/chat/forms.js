// What a reviewer can say of a verdict: decide otherwise, or report it as wrong.

import { make, spoken } from "../dom.js";
import { choice, say } from "./saying.js";

const HOURS = [["1", "an hour"], ["24", "24 hours"], ["168", "7 days"], ["", "until taken back"]];
const EVERY = "*";

/** The two forms of one outcome, closed. */
export function forms({ verdict, source }, context) {
  return make("div", { class: "forms" }, decideForm(verdict, source, context), reportForm(verdict, source, context));
}

function decideForm(verdict, source, context) {
  const decision = choice("decision", ["allow", "block"]);
  const policy = choice("policy", [EVERY, ...Object.keys(verdict.decisions ?? {})], (name) => (name === EVERY ? "every policy" : name));
  const reason = choice("reason", context.reasons, spoken);
  const lasts = make("select", { name: "lasts" }, ...HOURS.map(([value, text]) => make("option", { value, selected: value === "24" }, text)));
  const whole = make("input", { type: "checkbox", name: "whole" });
  decision.value = verdict.decision === "allow" ? "block" : "allow";
  // An allow always ends.
  const limit = () => {
    const endless = lasts.querySelector('option[value=""]');
    endless.disabled = decision.value === "allow";
    if (endless.disabled && endless.selected) lasts.value = "24";
  };
  decision.addEventListener("change", limit);
  limit();
  return make("details", {}, make("summary", {}, "Decide otherwise"),
    make("form", { onsubmit: (event) => say(event, "/chat/override", {
      chat_id: context.chatId, verdict_id: verdict.verdict_id, fingerprint: verdict.content_fingerprint, source, decision: decision.value, policy: policy.value, reason: reason.value,
      whole_chat: whole.checked, expires_in_s: lasts.value === "" ? null : Number(lasts.value) * 3600,
    }, context.again) },
      labelled("Decision", decision), labelled("For", policy), labelled("Reason", reason), labelled("Lasts", lasts),
      make("label", { class: "check" }, whole, " whatever the chat says from now on"),
      make("button", { class: "primary" }, "Decide")));
}

function reportForm(verdict, source, context) {
  const category = choice("category", ["", ...Object.keys(verdict.probabilities ?? {})], (code) => code || "not said");
  const decision = choice("decision", ["", "allow", "review", "block"], (name) => name || "not said");
  const note = make("input", { name: "note", maxlength: 1000, autocomplete: "off" });
  return make("details", {}, make("summary", {}, "Report as wrong"),
    make("form", { onsubmit: (event) => say(event, "/chat/report", {
      chat_id: context.chatId, verdict_id: verdict.verdict_id, fingerprint: verdict.content_fingerprint, source, taxonomy: verdict.taxonomy ?? null,
      category: category.value || null, decision: decision.value || null, note: note.value || null,
    }, context.again) },
      labelled("Right category", category), labelled("Right decision", decision), labelled("Note", note),
      make("button", { class: "primary" }, "Report"),
      make("p", { class: "hint" }, "A report changes no decision; it is what later models learn from.")));
}

const labelled = (name, field) => make("label", {}, name, field);
