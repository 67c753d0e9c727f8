// The conversation that is typed or pasted, turn by turn.

import { byId, count, make } from "../dom.js";
import { conversationOf } from "./paste.js";

const ROLES = ["user", "assistant", "system", "developer", "tool", "function"];
const LONG = 50_000;
const SHOWN_OF_LONG = 2_000;
const list = byId("turns");

// Texts that are too long for a field: with a megabyte in one, browsers stand still for seconds at every key.
const kept = new WeakMap();

/** What is written, without the messages that are empty. */
export function messages() {
  return [...list.children]
    .map((turn) => ({ role: turn.querySelector("select").value, content: textOf(turn.querySelector("textarea")) }))
    .filter(({ content }) => content.trim() !== "");
}

const textOf = (field) => (kept.get(field) ?? field.value).toWellFormed();

function put(field, content) {
  const isLong = content.length > LONG;
  if (isLong) kept.set(field, content);
  else kept.delete(field);
  field.value = isLong ? `${content.slice(0, SHOWN_OF_LONG)} …` : content;
  field.readOnly = isLong;
  const note = field.nextElementSibling;
  note.hidden = !isLong;
  note.textContent = `Of ${count(content.length, "character")} the beginning is shown; all are sent. Remove the message to write another.`;
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
  field.addEventListener("paste", paste);
  const remove = make("button", { type: "button", class: "quiet", title: "Remove this message", "aria-label": "Remove this message" }, "✕");
  const turn = make("li", {}, make("div", { class: "who" }, select, remove), field, make("p", { class: "hint", hidden: true }));
  put(field, content);
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
  const field = event.currentTarget;
  const pasted = event.clipboardData.getData("text/plain");
  const found = conversationOf(pasted);
  if (found === null) {
    if (pasted.length <= LONG || field.readOnly) return;
    event.preventDefault();
    put(field, field.value.slice(0, field.selectionStart) + pasted + field.value.slice(field.selectionEnd));
    return;
  }
  event.preventDefault();
  show(found.turns);
  const left = found.left ? `; ${count(found.left, "part")} without text left out` : "";
  byId("said").textContent = `Pasted ${count(found.turns.length, "message")}${left}.`;
  list.querySelector("textarea").focus();
}
