// Times as people read them, in the browser's own zone.

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const DAY_MS = 86_400_000;

/** Hours, minutes and seconds; with the day where it is not of the last 24 hours. */
export function moment(ms, now = Date.now()) {
  if (ms < 0) return "no time";
  const clock = CLOCK.format(ms);
  return now - ms < DAY_MS ? clock : `${DAY.format(ms)}, ${clock}`;
}

/** Day and time, whole. */
export const wholeMoment = (ms) => `${DAY.format(ms)}, ${CLOCK.format(ms)}`;

/** Waits. */
export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
