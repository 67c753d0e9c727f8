// Questions of this page. What must not be lost is asked again until the database answers, with a banner meanwhile.

import { byId } from "../dom.js";
import { ask, Refused } from "../server.js";
import { pause } from "../time.js";

const AGAIN_MS = 1000;
const LOGIN_MS = 4000;
const AWAY = "The database does not answer. Nothing is lost: this page keeps what you answered and sends it once it is back.";
let nWaiting = 0;
let skewMs = 0;

/** Milliseconds since 1970 by the server's clock, which leases and undo go by. */
export const now = () => Date.now() + skewMs;

function show() {
  const banner = byId("away");
  if (nWaiting > 0 && banner.textContent !== AWAY) banner.textContent = AWAY;
  banner.hidden = nWaiting === 0;
}

/** Asks until there is an answer, also while the database is away or a login has ended. Throws Refused for all else. */
export async function asked(path, body, options) {
  let isWaiting = false;
  const wait = async (ms) => {
    if (!isWaiting) nWaiting += 1;
    isWaiting = true;
    show();
    await pause(ms);
  };
  try {
    for (;;) {
      try {
        const found = await ask(path, body, options);
        if (found?.now_ms) skewMs = found.now_ms - Date.now();
        return found;
      } catch (refused) {
        if (!(refused instanceof Refused)) throw refused;
        if (refused.code === "store_away" || refused.code === "busy") await wait(AGAIN_MS);
        else if (refused.status === 401) await pause(LOGIN_MS);
        else throw refused;
      }
    }
  } finally {
    if (isWaiting) nWaiting -= 1;
    show();
  }
}

/** A new name for an answer: sent again under it, it counts once. */
export const newToken = () => crypto.randomUUID().replaceAll("-", "");
