// The Review page: puts its parts together. One item is read, the next is claimed and fetched meanwhile.

import { byId } from "../dom.js";
import { watch } from "../server.js";
import * as bulk from "./bulk.js";
import * as claims from "./claims.js";
import { asked } from "./asking.js";
import * as details from "./details.js";
import * as figures from "./figures.js";
import * as head from "./head.js";
import * as keys from "./keys.js";
import * as looks from "./looks.js";
import * as mine from "./mine.js";
import * as reading from "./reading.js";
import { clear, say, tell } from "./say.js";
import * as sending from "./sending.js";
import * as tabs from "./tabs.js";
import * as wish from "./wish.js";
import { done, lostTo } from "./words.js";

const LOOK_AGAIN_MS = 4000;
const MOST_KEPT = 6;
/** Claimed and not answered, in the order of reading; `at` is the one that is read. */
const trail = [];
let at = 0;
/** The next item, claimed while one reads; a promise of its claim. */
let ahead = null;
/** Counts moves: what was asked for before the last one is not shown any more. */
let move = 0;
let isMoving = false;

const current = () => trail[at] ?? null;

function lookAhead() {
  if (ahead !== null || at < trail.length - 1 || current() === null) return;
  ahead = claims.takeNext(head.place()).then((claim) => {
    if (claim) reading.prefetch(claim);
    return claim;
  });
  // Told where it is waited for.
  ahead.catch(() => {});
}

async function next(isWanted) {
  const asking = ahead;
  ahead = null;
  try {
    if (asking !== null) return await asking;
  } catch {
    // What went wrong for the item ahead may be over by now.
  }
  return claims.takeNext(head.place(), isWanted);
}

async function show() {
  move += 1;
  isMoving = true;
  if (at >= trail.length && !(await grow())) return;
  isMoving = false;
  const claim = current();
  wish.begin(claim.item);
  byId("step-back").disabled = at === 0;
  byId("step-on").disabled = false;
  reading.open(claim, looks.mode());
  lookAhead();
}

/** Claims an item behind the others. false: there is none, or somebody moved on meanwhile. */
async function grow() {
  const thisMove = move;
  at = trail.length;
  wish.begin(null);
  byId("step-back").disabled = at === 0;
  byId("step-on").disabled = true;
  reading.waiting();
  let claim = null;
  try {
    claim = await next(() => thisMove === move);
  } catch (refused) {
    tell(refused.message);
  }
  if (thisMove !== move) {
    if (claim) await claims.release([claim]);
    return false;
  }
  if (claim === null) {
    isMoving = false;
    reading.empty();
    lookAgain(thisMove);
    return false;
  }
  trail.push(claim);
  return true;
}

/** Asks from time to time whether something waits, without a word until it does. */
async function lookAgain(thisMove) {
  await new Promise((resolve) => { setTimeout(resolve, LOOK_AGAIN_MS); });
  if (thisMove !== move) return;
  const claim = document.hidden ? null : await claims.takeNext(head.place(), () => thisMove === move).catch(() => null);
  if (thisMove !== move) {
    if (claim) await claims.release([claim]);
  } else if (claim === null) lookAgain(thisMove);
  else {
    trail.push(claim);
    show();
  }
}

function answer(given) {
  const claim = current();
  if (claim === null || isMoving) return;
  trail.splice(at, 1);
  claims.forget(claim.item.id);
  reading.forget(claim.item.id);
  sending.send(claim, given);
  if (given.outcome !== "skip") head.countAnswer();
  say(`${done(given.outcome)} item ${claim.item.id}.`);
  show();
}

function back(claim) {
  claims.hold(claim);
  trail.splice(Math.min(at, trail.length), 0, claim);
  show();
}

async function undo() {
  const entry = sending.latest();
  if (entry === null) {
    say("Nothing to take back here; the tab Mine has what you answered before.");
    return;
  }
  say(`Taking back: ${done(entry.wish.outcome).toLowerCase()} item ${entry.claim.item.id}…`);
  const wasSent = entry.sends_at_ms !== null && sending.secondsLeft(entry) === 0;
  try {
    const claim = await sending.undo(entry);
    if (claim === null) return;
    if (entry.wish.outcome !== "skip") head.uncount();
    say(`Taken back: item ${claim.item.id} is open again, and yours.${wasSent ? " What was sent stands until you answer anew or the chat goes on." : ""}`);
    tabs.open("judge");
    back(claim);
  } catch (refused) {
    tell(refused.message);
  }
}

/** J: leaves the item unanswered and goes on; it stays claimed, and K comes back to it. */
async function forward() {
  if (current() === null || isMoving) return;
  const left = trail.splice(0, Math.max(0, trail.length - MOST_KEPT));
  at += 1 - left.length;
  show();
  await claims.release(left);
}

function backward() {
  if (at === 0) {
    say("No item before this one is open.");
    return;
  }
  at -= 1;
  show();
}

async function restart() {
  const held = trail.splice(0);
  const claim = ahead;
  ahead = null;
  at = 0;
  move += 1;
  isMoving = true;
  wish.begin(null);
  reading.waiting();
  head.look();
  const last = await claim?.catch(() => null);
  await claims.release(last ? [...held, last] : held);
  show();
}

function lost(claim, conflict) {
  const place = trail.indexOf(claim);
  if (place < 0) {
    // The next one, which nobody has seen.
    ahead = null;
    return;
  }
  tell(lostTo(conflict));
  const wasCurrent = place === at;
  trail.splice(place, 1);
  if (place < at) at -= 1;
  if (wasCurrent) show();
}

function refused(entry, why) {
  if (entry.wish.outcome !== "skip") head.uncount();
  tell(why.status === 409 ? `Your answer does not count. ${why.message}` : `Item ${entry.claim.item.id}: ${why.message}`);
  if (why.status !== 409) back(entry.claim);
}

const setup = await asked("/review/start");
details.start(setup);
looks.start(setup.preferences, { onMode: () => { if (current()) reading.open(current(), looks.mode()); }, onKeys: keys.set });
reading.start(head.saw);
wish.start(setup, answer, say);
claims.start(setup, lost);
sending.start(() => mine.strip(), refused);
mine.start({ undo, reopened: (claim) => { tabs.open("judge"); back(claim); } });
bulk.start(setup, current);
head.start(setup, restart);
tabs.start({ mine: mine.show, figures: () => figures.show(setup), bulk: bulk.look });
keys.start({
  A: ["Allow", () => wish.answer("allow")],
  B: ["Block", () => wish.answer("block")],
  "1–9": ["Another category, or the reason where one is asked for", (key) => wish.digit(Number(key))],
  Enter: ["Send what the chosen category implies", wish.follow],
  R: ["Choose a reason first", () => wish.arm()],
  N: ["Write a note; Enter comes back", () => byId("note").focus()],
  S: ["Skip: somebody else decides", () => wish.answer("skip")],
  Z: ["Take the last answer back", undo],
  J: ["Next item, this one stays yours", forward],
  K: ["Previous item", backward],
  Space: ["Show or hide the text", reading.toggle],
  E: ["Show earlier turns", reading.unfold],
  Esc: ["Leave a choice, clear messages", () => { if (!wish.leave()) clear(); }],
  "?": ["These keys", () => {}],
}, () => tabs.chosen() === "judge");
byId("step-on").addEventListener("click", forward);
byId("step-back").addEventListener("click", backward);
watch();
const wanted = Number(new URLSearchParams(location.search).get("item"));
if (wanted > 0) {
  try {
    trail.push(await claims.take(wanted));
  } catch (refusal) {
    tell(refusal.message);
  }
}
await show();
performance.mark("review-usable");
