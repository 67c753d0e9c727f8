// What the model read of the conversation, and what it did not.

import { byId, count, fill, make } from "../dom.js";

const SHOWN_MESSAGES = 50;

export function showReading(reading) {
  const unread = reading.n_not_read;
  const left = reading.messages.length - SHOWN_MESSAGES;
  fill(
    byId("reading"),
    make("p", { class: unread ? "note" : "hint" }, unread
      ? `${count(unread, "character")} were not read.`
      : "All of the conversation was read."),
    make("ol", { class: "read" }, ...reading.messages.slice(-SHOWN_MESSAGES).map(message)),
    left > 0 && make("p", { class: "hint" }, `and ${count(left, "earlier message")}`),
    make("details", { open: true },
      make("summary", {}, `Main window: ${reading.n_window_tokens} of at most ${reading.max_tokens} tokens`),
      make("pre", { dir: "auto" }, reading.window)),
    reading.pieces.length > 0 && make("details", {},
      make("summary", {}, `${count(reading.pieces.length, "piece")}, each judged for itself`),
      make("ol", { class: "pieces" }, ...reading.pieces.map((piece) => make("li", { dir: "auto" }, piece)))),
  );
}

function message({ role, head, n_characters, n_window, n_pieces }) {
  const read = Math.min(n_characters, Math.max(n_window, n_pieces));
  const how = read === 0 ? "not read" : read < n_characters ? `${read.toLocaleString("en")} of ${n_characters.toLocaleString("en")} characters` : "read";
  const where = [n_window > 0 && "window", n_pieces > 0 && "pieces"].filter(Boolean).join(", ");
  return make("li", { "data-read": read === 0 ? "none" : read < n_characters ? "part" : "all" },
    make("b", {}, role), make("span", { class: "head", dir: "auto" }, head), make("span", { class: "how", title: where }, how));
}
