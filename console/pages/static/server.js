// Questions to the server. Where it does not answer, a banner says so, and the question is asked again by itself.

import { byId, fill, make } from "./dom.js";

const RETRY_MS = 1000;
const LOOK_MS = 5000;
const MOST_WAITS = 60;
const banner = byId("banner");

/** The server answered, and not as asked. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function say(...parts) {
  if (banner.textContent !== parts.map((part) => part.textContent ?? part).join("")) fill(banner, ...parts);
  banner.hidden = false;
}

const quiet = () => { banner.hidden = true; };

const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

async function isBack() {
  try {
    return (await fetch("/livez", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

async function untilBack(signal) {
  say("The server does not answer. Your text stays here, and the page goes on by itself once the server is back.");
  do await pause(RETRY_MS, signal); while (!(await isBack()));
  quiet();
}

async function answerOf(path, body, signal) {
  try {
    const response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal,
    });
    return { response, document: response.status === 204 ? null : await response.json() };
  } catch (error) {
    if (signal?.aborted) throw error;
    return null;
  }
}

/** Asks, with a JSON body or without; waits where the server is busy or away. Throws Refused. */
export async function ask(path, body, { signal } = {}) {
  for (let waits = 0; ; ) {
    const answer = await answerOf(path, body, signal);
    if (answer === null) {
      await untilBack(signal);
      continue;
    }
    const { response, document } = answer;
    if (response.ok) {
      quiet();
      return document;
    }
    const { code, message } = document?.error ?? { code: "", message: response.statusText };
    const wait = Number(response.headers.get("retry-after"));
    // A login is tried again by its person only: each attempt counts.
    if (wait > 0 && waits < MOST_WAITS && path !== "/login") {
      waits += 1;
      say(`The server is busy. Asked again in ${wait} s.`);
      await pause(wait * 1000, signal);
      continue;
    }
    quiet();
    if (response.status === 401 && path !== "/login") {
      say("You are not logged in any more. ", make("a", { href: "/login", target: "_blank", rel: "opener" }, "Log in"), " in another tab, then ask again here.");
    }
    throw new Refused(response.status, code, message);
  }
}

/** Shows the banner also while nobody asks. */
export function watch() {
  let isAway = false;
  setInterval(async () => {
    if (document.hidden || isAway) return;
    isAway = true;
    if (!(await isBack())) await untilBack();
    isAway = false;
  }, LOOK_MS);
}
