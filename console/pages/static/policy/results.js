// What would change: in a sentence, as bars, and kind by kind with some of the chats.

import { byId, count, fill, make } from "../dom.js";
import { chatLink } from "../figures/links.js";
import { percent } from "../figures/svg.js";
import { curve } from "./curve.js";

const DECISIONS = ["allow", "review", "block"];
const SET_ASIDE = { override: "a person decided", deny_list: "a list decided", hold: "an earlier block holds them" };

export function showChange(simulation) {
  if (simulation === null || simulation.n_compared === 0) {
    const why = simulation === null ? "Verdicts are being read." : "No verdict of this bundle in that time.";
    for (const id of ["change", "curve"]) fill(byId(id), make("p", { class: "empty" }, why));
    return;
  }
  const { n_changed: nChanged, n_compared: nCompared } = simulation;
  const said = nChanged === 0
    ? `None of ${count(nCompared, "chat")} would be decided differently.`
    : `${nChanged.toLocaleString("en")} of ${count(nCompared, "chat")} would be decided differently (${percent(nChanged / nCompared, 2)}).`;
  byId("heard").textContent = said;
  const aside = Object.entries(simulation.n_set_aside).map(([reason, n]) => `${n.toLocaleString("en")} (${SET_ASIDE[reason] ?? reason})`);
  fill(byId("change"),
    make("p", { class: "big" }, said),
    make("div", { class: "sides" }, ...[["old", simulation.against], ["new", simulation.new]].map(([side, policy]) => bar(side, policy, simulation))),
    kinds(simulation),
    aside.length > 0 && make("p", { class: "hint" }, `Left out, because no policy changes them: ${aside.join(", ")}.`));
  fill(byId("curve"), curve(simulation));
}

function bar(side, policy, simulation) {
  const counts = simulation.decisions[side];
  const stack = make("div", { class: "stack", role: "img", "aria-label": DECISIONS.map((name) => `${name} ${percent(counts[name] / simulation.n_compared)}`).join(", ") });
  for (const name of DECISIONS.filter((one) => counts[one] > 0)) {
    const part = counts[name] / simulation.n_compared;
    const piece = make("span", { "data-decision": name, title: `${name}: ${counts[name].toLocaleString("en")}` }, part > 0.18 ? `${name} ${percent(part)}` : part > 0.1 ? name : "");
    piece.style.setProperty("--share", part);
    stack.append(piece);
  }
  const words = side === "new" ? "tried" : "compared with";
  return make("div", { class: "side" }, make("span", { class: "who" }, make("b", {}, `${policy.name} ${policy.version}`), make("span", { class: "quietly" }, ` ${words}`)), stack);
}

function kinds(simulation) {
  const risk = (value) => (value === null ? "unknown" : percent(value.mean, 2));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Kinds of change" }, make("table", { class: "sheet" },
    make("thead", {}, make("tr", {},
      make("th", { scope: "col" }, "decision"),
      make("th", { scope: "col", class: "number" }, "chats"),
      make("th", { scope: "col", class: "number" }, "share"),
      make("th", { scope: "col", class: "number", title: "Mean banned-to-safe risk under each policy: of banned chats, the share that looks at most as banned as this one" }, "risk, then → now"),
      make("th", { scope: "col" }, "some of them"))),
    make("tbody", {}, ...simulation.changes.map((change) => {
      const moves = change.old !== change.new;
      return make("tr", { class: !moves && "quietly" },
        make("td", { class: "arrow" }, make("b", { "data-decision": change.old }, change.old), moves ? " → " : " as before", moves && make("b", { "data-decision": change.new }, change.new)),
        make("td", { class: "number" }, change.n.toLocaleString("en")),
        make("td", { class: "number" }, percent(change.share, 2)),
        make("td", { class: "number" }, `${risk(change.old_risk)} → ${risk(change.new_risk)}`),
        make("td", {}, moves && make("span", { class: "chats" }, ...change.chat_ids.map((id) => make("a", { href: chatLink(id), title: id }, id)))));
    }))));
}
