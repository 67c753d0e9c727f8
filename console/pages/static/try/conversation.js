// The conversation that is typed or pasted, turn by turn.

import { byId, count, make } from "../dom.js";
import { conversationOf } from "./paste.js";

const ROLES = ["user", "assistant", "system", "developer", "tool", "function"];
const list = byId("turns");

/** What is written, without the messages that are empty. */
export function messages() {
  return [...list.children]
    .map((turn) => ({ role: turn.querySelector("select").value, content: turn.querySelector("textarea").value.toWellFormed() }))
    .filter(({ content }) => content.trim() !== "");
}

/** Puts messages in place of what is written. */
export function show(turns) {
  list.replaceChildren();
  for (const { role, content } of turns.length ? turns : [{ role: "user", content: "" }]) add(role, content);
}

/** Appends a message. */
export function add(role = null, content = "") {
  const last = list.lastElementChild?.querySelector("select").value;
  const select = make("select", { "aria-label": "Role" }, ...ROLES.map((name) => make("option", { value: name }, name)));
  select.value = role ?? (last === "user" ? "assistant" : "user");
  const field = make("textarea", { rows: 2, spellcheck: "false", dir: "auto", "aria-label": "Text of the message", placeholder: "Text of the message" });
  field.value = content;
  field.addEventListener("paste", (event) => paste(event));
  const remove = make("button", { type: "button", class: "quiet", title: "Remove this message", "aria-label": "Remove this message" }, "✕");
  const turn = make("li", {}, make("div", { class: "who" }, select, remove), field);
  const colour = () => { turn.dataset.role = select.value; };
  select.addEventListener("change", colour);
  colour();
  remove.addEventListener("click", () => {
    const next = (turn.nextElementSibling ?? turn.previousElementSibling)?.querySelector("textarea");
    turn.remove();
    if (!list.children.length) show([]);
    (next ?? list.querySelector("textarea")).focus();
  });
  list.append(turn);
  return field;
}

function paste(event) {
  const found = conversationOf(event.clipboardData.getData("text/plain"));
  if (found === null) return;
  event.preventDefault();
  show(found.turns);
  const left = found.left ? `; ${count(found.left, "part")} without text left out` : "";
  byId("said").textContent = `Pasted ${count(found.turns.length, "message")}${left}.`;
  list.querySelector("textarea").focus();
}
