// What stands before a text until it is asked for: a blur over all, or a line in place of each severe passage.

import { make, spoken } from "../dom.js";

const BEGINNING = 1500;
const EARLIER_BEGINNING = 400;
const MORE = 20_000;
const NEAREST = 4;

/** Shows a chat. `mode`: blurred, collapsed or open. Gives {element, deciding, isVeiled, toggle, unfold}. */
export function chat(text, mode, onChange = () => {}) {
  const turns = text.turns.map((turn, i) => turnOf(turn, i === text.deciding, mode));
  const list = make("ol", { class: "turns" }, ...turns.map((turn) => turn.element));
  const nEarlier = Math.max(0, Math.min(text.deciding ?? Infinity, text.turns.length - 1) - NEAREST);
  const fold = folded(turns.slice(0, nEarlier));
  if (fold) list.prepend(fold.element);
  const veiled = turns.filter((turn) => turn.veil);
  const isVeiled = () => veiled.some((turn) => turn.veil.isOn());
  const element = make("div", { class: "chat" }, list);
  return {
    element,
    deciding: turns[text.deciding]?.element ?? null,
    isVeiled,
    toggle() {
      const isOn = isVeiled();
      for (const turn of veiled) turn.veil.set(!isOn);
      onChange();
    },
    unfold: () => fold?.open(),
  };
}

function folded(earlier) {
  if (!earlier.length) return null;
  for (const turn of earlier) turn.element.hidden = true;
  const n = earlier.length;
  const button = make("button", { type: "button", class: "quiet" }, `${n} earlier ${n === 1 ? "turn" : "turns"}`, make("kbd", {}, "E"));
  const element = make("li", { class: "fold" }, button);
  const open = () => {
    for (const turn of earlier) turn.element.hidden = false;
    element.remove();
  };
  button.addEventListener("click", () => { open(); earlier[0].element.querySelector(".text").focus(); });
  return { element, open };
}

function turnOf(turn, isDeciding, mode) {
  const text = body(turn, isDeciding);
  const element = make("li", { class: "turn", "data-role": turn.role, "data-deciding": isDeciding },
    make("div", { class: "who" }, make("b", {}, turn.role), isDeciding && make("span", { class: "tag" }, "deciding turn")), text);
  const needsVeil = mode === "blurred" || (mode === "collapsed" && turn.severe !== null);
  return { element, veil: needsVeil ? veilOf(element, text, turn, mode) : null };
}

function veilOf(element, text, turn, mode) {
  const label = mode === "collapsed" ? `Severe passage hidden${turn.severe ? `: ${spoken(turn.severe)}` : ""}` : "Text blurred";
  const button = make("button", { type: "button", class: "veil" }, label, make("span", { class: "hint" }, " Show"));
  let isOn = true;
  const set = (on) => {
    isOn = on;
    element.dataset.veil = on ? mode : "off";
    // Neither read aloud nor reached by keyboard until it is asked for.
    text.inert = on;
    text.setAttribute("aria-hidden", on);
    button.hidden = !on;
  };
  button.addEventListener("click", () => { set(false); text.focus(); });
  element.append(button);
  set(true);
  return { set, isOn: () => isOn };
}

// Megabytes in one element make a browser stand still, so that a long text is shown in parts.
function body(turn, isDeciding) {
  const node = document.createTextNode("");
  const element = make("div", { class: "text", dir: "auto", tabindex: "-1" }, node);
  const whole = turn.text;
  const first = isDeciding ? BEGINNING : EARLIER_BEGINNING;
  let shown = whole.length <= 1.3 * first ? whole.length : first;
  node.data = whole.slice(0, shown);
  if (shown === whole.length) return element;
  const more = make("button", { type: "button", class: "quiet more" });
  const say = () => {
    const left = whole.length - shown;
    more.textContent = `Show ${left > MORE ? `${MORE.toLocaleString("en")} of ` : ""}${left.toLocaleString("en")} further characters`;
  };
  more.addEventListener("click", () => {
    shown = Math.min(whole.length, shown + MORE);
    node.data = whole.slice(0, shown);
    if (shown === whole.length) more.remove();
    else say();
  });
  say();
  element.append("… ", more);
  return element;
}
