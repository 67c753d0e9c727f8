// The overrides that stand on a chat, and the way to take each back.

import { byId, fill, make, spoken } from "../dom.js";
import { wholeMoment } from "../time.js";
import { choice, say } from "./saying.js";

/** Shows what stands. */
export function standing({ overrides, overrides_unknown: unknown }, context) {
  byId("standing").hidden = overrides === null ? unknown === null : overrides.length === 0;
  fill(byId("overrides"), ...(overrides === null ? [make("p", { class: "hint" }, `Not known: ${unknown}.`)] : overrides.map((one) => row(one, context))));
}

function row(one, context) {
  return make("div", { class: "override" },
    make("p", {}, make("b", { "data-decision": one.decision }, one.decision), " for ", make("bdi", {}, one.policy === "*" ? "every policy" : one.policy),
      one.scope === "chat" ? ", whatever the chat says" : ", while it says this", `, by ${one.actor} (${spoken(one.reason)}), ${wholeMoment(Date.parse(one.decided_at))}`,
      one.expires_at === null ? ", until it is taken back" : `, until ${wholeMoment(Date.parse(one.expires_at))}`),
    context.decides && clearForm(one, context));
}

function clearForm(one, context) {
  const reason = choice("reason", context.reasons, spoken);
  return make("form", { onsubmit: (event) => say(event, "/chat/clear", { chat_id: context.chatId, policy: one.policy, whole_chat: one.scope === "chat", reason: reason.value }, context.again) },
    make("label", {}, "Reason", reason), make("button", { class: "primary" }, "Take back"));
}
