// How much one person wants to see: blur, collapsed passages or open text, greyscale, single keys. Kept by the server.

import { byId } from "../dom.js";
import { asked } from "./asking.js";

let preferences = null;
let told = {};

export const mode = () => preferences.text;

/** Begins with what the server keeps; `onMode` and `onKeys` are called at a change. */
export function start(kept, { onMode, onKeys }) {
  preferences = kept;
  told = { onMode, onKeys };
  document.querySelector(`input[name=text][value=${kept.text}]`).checked = true;
  byId("grey").checked = kept.greyscale;
  byId("has-keys").checked = kept.has_keys;
  byId("looks").addEventListener("change", change);
  apply();
}

function apply() {
  document.documentElement.classList.toggle("grey", preferences.greyscale);
  told.onKeys(preferences.has_keys);
}

async function change() {
  const before = preferences.text;
  preferences = {
    text: document.querySelector("input[name=text]:checked").value,
    greyscale: byId("grey").checked,
    has_keys: byId("has-keys").checked,
  };
  apply();
  if (preferences.text !== before) told.onMode();
  await asked("/review/preferences", preferences);
}
