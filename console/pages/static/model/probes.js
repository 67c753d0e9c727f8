// Probes: what the bundle answers to evasion, mixtures and other families, and how far identities move its decisions.

import { byId, fill, make, spoken } from "../dom.js";
import { percent } from "../figures/svg.js";

const PLACES = { template: "in templates", inserted: "inserted into chats" };

/** `probes` is what `ProbeReport.short` wrote into the manifest; null where it was not measured. */
export function showProbes(probes) {
  if (probes === null) {
    fill(byId("probes"), make("p", { class: "hint" }, "The bundle's manifest holds no probes. ", make("code", {}, "export --probes"), " measures them; a gate below may name some."));
    return;
  }
  const rows = (probes.tables ?? []).flatMap(({ family, rows: found }) => found.map((row) => [family, row]));
  fill(byId("probes"),
    table("Wrong decisions by family", ["family", "chats", "wrong", "95 % interval"], rows.map(([family, row]) => {
      const isSafe = row.group === "safe";
      const { n, of } = row.not_allowed;
      const { low, high } = row.not_allowed_rate;
      // Of banned chats the allowed ones are wrong, of safe ones the others.
      const bounds = low === null || high === null ? "–" : isSafe ? `${percent(low)} to ${percent(high)}` : `${percent(1 - high)} to ${percent(1 - low)}`;
      const wrong = of === 0 ? "–" : percent((isSafe ? n : of - n) / of);
      return [`${spoken(family)}, ${row.group}`, of.toLocaleString("en"), wrong, bounds];
    })),
    table("Identity gaps", ["where", "chats", "largest gap", "of"], (probes.gaps ?? []).map((gap) => [
      PLACES[gap.where] ?? gap.where, (gap.identities.of + gap.neutral.of).toLocaleString("en"), percent(gap.largest_gap), gap.largest_gap_words,
    ])),
    make("p", { class: "hint" }, "Wrong: a banned chat that is allowed, or a safe one that is not. A gap is the difference in the allowed share between an identity and neutral words."));
}

function table(title, columns, rows) {
  if (rows.length === 0) return null;
  const isNumber = (i) => i > 0 && columns[i] !== "of";
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, make("table", { class: "sheet dense" },
    make("caption", {}, title),
    make("thead", {}, make("tr", {}, ...columns.map((name, i) => make("th", { scope: "col", class: isNumber(i) && "number" }, name)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) => make("td", { class: isNumber(i) && "number" }, String(cell))))))));
}
