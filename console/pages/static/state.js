// A banner that says which of Kafka, Redis and the database is away, or that the queue gets no records, for every page
// of the pipeline:
//   import { watchStates } from "../state.js";
//   watchStates({ kafka: "No text can be shown.", database: "No answer can be taken." }, (states) => …);

import { byId, fill, make } from "./dom.js";
import { moment } from "./time.js";

const EVERY_MS = 3000;
const NAMES = { kafka: "Kafka", redis: "Redis", database: "The database", intake: "The reader of the queue" };
const MEANS = {
  kafka: "What this page shows is as of then, and it goes on by itself.",
  redis: "Verdicts are still read from Kafka.",
  database: "Nothing can be written until it is back.",
  intake: "Items and counts that are missing come once it reads again.",
};

/** Keeps the banner; `means` says by service what its absence means on this page, `onChange` is told the states. */
export function watchStates(means = {}, onChange = () => {}) {
  const banner = make("div", { class: "banner", id: "states", role: "alert", hidden: true });
  byId("banner").after(banner);
  let said = "";
  async function look() {
    const states = document.hidden ? null : await read();
    if (states !== null) {
      const isAway = (name) => states[name]?.is_there === false;
      // Where Kafka or the database is away, that is why nothing is read.
      const away = Object.entries(states).filter(([name]) => isAway(name) && (name !== "intake" || !(isAway("kafka") || isAway("database"))));
      const lines = away.map(([name, state]) => `${NAMES[name] ?? name} has been away since ${moment(state.since_ms)}. ${means[name] ?? MEANS[name] ?? ""}`);
      // An alert is read out whenever it changes.
      if (lines.join("\n") !== said) {
        said = lines.join("\n");
        fill(banner, ...away.map(([, state], i) => make("p", { title: state.error }, lines[i])));
        banner.hidden = lines.length === 0;
      }
      onChange(states);
    }
    setTimeout(look, EVERY_MS);
  }
  look();
}

async function read() {
  try {
    const answer = await fetch("/live/state", { cache: "no-store" });
    return answer.ok ? await answer.json() : null;
  } catch {
    // The page's own questions say so where the server itself is away.
    return null;
  }
}
