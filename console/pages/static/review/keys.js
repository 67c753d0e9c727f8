// The keys of the page, and the overlay that lists them.

import { byId, fill, make } from "../dom.js";

let isOn = true;

/** Single keys may be switched off, for those whose speech or reading software sends them. */
export const set = (on) => { isOn = on; };

/** `map`: {key: [what it does, action]}; `when` says whether they count now. */
export function start(map, when) {
  const help = byId("help");
  fill(byId("keys"), ...Object.entries(map).flatMap(([key, [text]]) => (text ? [make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, text))] : [])));
  const actions = new Map(Object.entries(map).flatMap(([key, [, action]]) => key.split(" ").map((one) => [one, action])));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "?" && !isTyping(event.target)) {
      event.preventDefault();
      toggle(help);
      return;
    }
    if (help.open || isTyping(event.target) || !when()) return;
    const name = nameOf(event);
    // A button that has the focus keeps its own keys.
    if ((name === "Space" || name === "Enter") && event.target.closest?.("button, a, summary")) return;
    if (!isOn && name !== "Esc") return;
    const action = /^[1-9]$/u.test(name) ? actions.get("1–9") : actions.get(name);
    if (!action || event.repeat) return;
    event.preventDefault();
    action(name);
  });
  byId("ask-help").addEventListener("click", () => toggle(help));
  byId("close-help").addEventListener("click", () => help.close());
}

const toggle = (dialog) => { if (dialog.open) dialog.close(); else dialog.showModal(); };
const NAMES = { " ": "Space", Escape: "Esc" };
const nameOf = (event) => NAMES[event.key] ?? (event.key.length === 1 ? event.key.toUpperCase() : event.key);
const isTyping = (target) => target.matches?.("textarea, select, input:not([type=checkbox], [type=radio])") ?? false;
