// The items that this page holds: claimed, renewed while the page is seen, released when it is left.

import { asked, now } from "./asking.js";

const held = new Map();
let onLost = () => {};
let setup = null;
let isRenewing = false;
/** One question for the next item at a time. */
let line = Promise.resolve();

const named = (claims) => claims.map(({ item, token }) => ({ item_id: item.id, token }));

function keep(claim) {
  if (claim !== null) held.set(claim.item.id, claim);
  return claim;
}

/** Claims the next item of a queue, after what was asked before. null: nothing waits in it, or it is not wanted any more. */
export function takeNext(place, isWanted = () => true) {
  const taking = line.then(async () => {
    if (!isWanted()) return null;
    const { claim } = await asked("/review/claim", place);
    if (claim === null || isWanted()) return keep(claim);
    // Two questions at once may be given the same claim: giving back the one would lose the other.
    await release([claim]);
    return null;
  });
  line = taking.catch(() => {});
  return taking;
}

/** Claims one item. Throws Refused (409) where somebody else has it. */
export const take = async (itemId) => keep((await asked("/review/claim", { item_id: itemId })).claim);

/** Holds a claim that came with another answer. */
export const hold = keep;

/** Forgets an item that was answered: its claim ends with the answer. */
export const forget = (itemId) => held.delete(itemId);

/** Gives items back. */
export async function release(claims) {
  for (const { item } of claims) held.delete(item.id);
  if (claims.length) await asked("/review/release", { claims: named(claims) });
}

async function renew() {
  if (document.hidden || held.size === 0 || isRenewing) return;
  isRenewing = true;
  const { renewed, lost } = await asked("/review/renew", { claims: named([...held.values()]) }).finally(() => { isRenewing = false; });
  for (const { item_id: id, until_ms: until } of renewed) {
    const claim = held.get(id);
    if (claim) claim.until_ms = until;
  }
  for (const conflict of lost) {
    const claim = held.get(conflict.item_id);
    // It may have been answered or given back meanwhile.
    if (claim?.token !== conflict.token) continue;
    held.delete(conflict.item_id);
    onLost(claim, conflict);
  }
}

function leave() {
  if (held.size === 0) return;
  const body = new Blob([JSON.stringify({ claims: named([...held.values()]) })], { type: "application/json" });
  navigator.sendBeacon("/review/release", body);
}

/** Begins to renew; `lost` is called with a claim and who has it. */
export function start(settings, lost) {
  setup = settings;
  onLost = lost;
  setInterval(renew, (setup.lease_s * 1000) / 3);
  document.addEventListener("visibilitychange", () => {
    const ends = [...held.values()].map((claim) => claim.until_ms);
    // Not renewed while nobody looked: what lapsed meanwhile is told at once.
    if (!document.hidden && ends.length && Math.min(...ends) - now() < (setup.lease_s * 1000) / 2) renew();
  });
  window.addEventListener("pagehide", leave);
  // A page from the browser's memory has lost its claims.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}
