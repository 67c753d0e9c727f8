// Sends what a person says, offers to take it back, and tells when it is on its topic.

import { byId, fill, make } from "../dom.js";
import { ask } from "../server.js";
import { pause } from "../time.js";

const LOOK_MS = 1000;
const MOST_LOOKS = 40;

export function choice(name, values, text = (value) => value) {
  return make("select", { name }, ...values.map((value) => make("option", { value }, text(value))));
}

/** 32 hexadecimal digits. What is sent again, because an answer was lost, has the same. */
const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Handles the submit of a form; `again` reads the chat anew once the word is on its topic. */
export async function say(event, path, words, again) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button.primary");
  const told = form.querySelector(".told") ?? form.appendChild(make("p", { class: "told", role: "status" }));
  button.disabled = true;
  try {
    const put = await ask(path, { ...words, decision_id: newId() });
    await follow(put, told, again);
  } catch (refused) {
    fill(told, make("span", { class: "refused" }, refused.message));
  }
  button.disabled = false;
}

async function follow({ decision_id: id, kind, sends_at_ms: at }, told, again) {
  let isUndone = false;
  const undo = make("button", { type: "button", onclick: async () => {
    undo.disabled = true;
    const { undone } = await ask("/chat/undo", { decision_id: id });
    isUndone = undone;
    if (!undone) fill(told, "Too late: it is on its way. Take it back above, once it stands.");
  } }, "Undo");
  const left = make("span");
  fill(told, "Taken down. ", left, " ", undo);
  for (let looks = 0; looks < MOST_LOOKS && !isUndone; looks += 1) {
    const seconds = Math.max(0, Math.ceil((at - Date.now()) / 1000));
    left.textContent = seconds ? `It goes out in ${seconds} s.` : "It is going out…";
    await pause(LOOK_MS);
    if (!told.isConnected) return;
    if (seconds > 1) continue;
    const { state, error } = await ask(`/chat/sent?${new URLSearchParams({ decision_id: id, kind })}`);
    if (state === "cancelled") isUndone = true;
    if (state === "refused") throw new Error(`It was refused: ${error}`);
    if (state === "sent") {
      fill(told, "It is on its topic.");
      if (kind !== "feedback") {
        // The worker answers with a verdict within two seconds.
        await pause(2 * LOOK_MS);
        byId("said").textContent = "The word is on its topic; reading the chat again…";
        again();
      }
      return;
    }
  }
  fill(told, isUndone ? "Undone: nothing was sent." : "It waits in the database and goes out as soon as Kafka takes it.");
}
