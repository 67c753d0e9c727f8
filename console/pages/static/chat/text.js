// The text of one event, on request: each look is logged by the server, and it is blurred until asked for again.

import { count, fill, make } from "../dom.js";
import { ask } from "../server.js";

const SHOWN_TURNS = 20;
const MORE_TURNS = 100;
const FIRST_CHARACTERS = 2_000;
const MORE_CHARACTERS = 20_000;

/** The button that asks, and the place of the text. */
export function textOf({ verdict, source }, { chatId }) {
  const place = make("div", { class: "text" });
  const button = make("button", { type: "button", onclick: read }, "Read the text");
  async function read() {
    button.disabled = true;
    fill(place, make("p", { class: "hint", role: "status" }, "Reading…"));
    try {
      const { topic, partition, offset } = source;
      fill(place, shown(await ask("/chat/text", { chat_id: chatId, topic, partition, offset, fingerprint: verdict.content_fingerprint })));
      button.hidden = true;
    } catch (refused) {
      fill(place, make("p", { class: "refused", role: "alert" }, refused.message));
      button.disabled = false;
    }
  }
  return make("div", { class: "reading" }, make("p", { class: "actions" }, button, make("span", { class: "hint" }, "That you read it is logged.")), place);
}

function shown({ turns, deciding, is_same: isSame }) {
  if (turns === null) return make("p", { class: "note", role: "status" }, "The text is gone: retention took its record, or it is not this chat's any more. The verdict stays.");
  const list = make("ol", { class: "turns" });
  const body = make("div", { class: "blurred" }, list);
  let first = Math.max(0, Math.min(turns.length - SHOWN_TURNS, deciding ?? turns.length));
  list.append(...turns.slice(first).map((turn, i) => one(turn, first + i === deciding)));
  const earlier = make("button", { type: "button", onclick: back });
  function name() {
    earlier.hidden = first === 0;
    earlier.textContent = `Show ${count(first, "earlier turn")}`;
  }
  function back() {
    const start = Math.max(0, first - MORE_TURNS);
    list.prepend(...turns.slice(start, first).map((turn, i) => one(turn, start + i === deciding)));
    first = start;
    name();
  }
  name();
  // Out of reach of a screen reader, too, until it is asked for.
  body.inert = true;
  const clear = make("button", { type: "button", "aria-pressed": "false", onclick: () => {
    const isBlurred = body.classList.toggle("blurred");
    body.inert = isBlurred;
    clear.setAttribute("aria-pressed", String(!isBlurred));
    clear.textContent = isBlurred ? "Show clearly" : "Blur";
  } }, "Show clearly");
  setTimeout(() => clear.focus());
  return make("div", {},
    make("p", { class: "actions" }, clear, earlier),
    isSame === false && make("p", { class: "note" }, "The record says something else than what was judged: its topic was made anew."),
    body);
}

function one({ role, text }, isDeciding) {
  let end = Math.min(text.length, FIRST_CHARACTERS);
  const said = make("p", { class: "said", dir: "auto" }, text.slice(0, end));
  const more = make("button", { type: "button", hidden: end === text.length, onclick: () => {
    const start = end;
    end = Math.min(text.length, end + MORE_CHARACTERS);
    // A node of its own: what stands there is not laid out again.
    said.append(text.slice(start, end));
    name();
  } });
  function name() {
    more.hidden = end === text.length;
    more.textContent = `Show more (${end.toLocaleString("en")} of ${text.length.toLocaleString("en")} characters shown)`;
  }
  name();
  return make("li", { class: "turn", "data-role": role, "aria-current": isDeciding && "true" },
    make("p", { class: "who" }, role, isDeciding && make("span", { class: "tag" }, "the event was sent for this turn")), said, more);
}
