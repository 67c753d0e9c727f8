// What the page tells: `say` for what one did, read aloud and replaced by the next; `tell` for what others did, kept.

import { byId, make } from "../dom.js";

const MOST = 3;

export function say(text) {
  byId("said").textContent = text;
}

export function tell(text) {
  const told = byId("told");
  told.append(make("p", {}, text));
  while (told.children.length > MOST) told.firstElementChild.remove();
  byId("told-box").hidden = false;
}

export function clear() {
  byId("told").replaceChildren();
  byId("told-box").hidden = true;
  say("");
}
