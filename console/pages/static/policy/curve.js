// The curve: which share of the chats a policy allows, by the banned-to-safe rate that it accepts.

import { make } from "../dom.js";
import { Plot, percent, svg } from "../figures/svg.js";

const LEAST_END = 0.2;
const isPhone = matchMedia("(max-width: 600px)");

/** Makes the picture of both policies, and what it says in words. */
export function curve(simulation) {
  const sides = [["old", simulation.against, simulation.curves.against], ["new", simulation.new, simulation.curves.new]];
  const end = Math.min(1, Math.max(LEAST_END, ...sides.map(([, policy]) => 2 * policy.max_banned_to_safe_rate)));
  // Narrow pictures keep their letters' size.
  const plot = new Plot({ endX: end, width: isPhone.matches ? 360 : 640 });
  const allowed = Object.fromEntries(sides.map(([side]) => [side, simulation.decisions[side].allow / simulation.n_compared]));
  const words = sides.map(([side, policy]) => `${policy.name} ${policy.version} allows ${percent(allowed[side])} at an accepted rate of ${percent(policy.max_banned_to_safe_rate, 2)}`);
  return make("figure", { class: "figure" },
    plot.drawn(`Allowed share against the accepted banned-to-safe rate. ${words.join("; ")}.`,
      ...plot.axes({ nameX: "accepted banned-to-safe rate", nameY: "chats allowed", writeX: (value) => percent(value, value > 0 && end < 0.3 ? 1 : 0), nTicks: isPhone.matches ? 4 : 5 }),
      ...sides.flatMap(([side, policy, points]) => [
        svg("polyline", { class: `line ${side}`, points: steps(plot, points, end) }),
        svg("line", { class: `mark ${side}`, x1: plot.x(policy.max_banned_to_safe_rate), x2: plot.x(policy.max_banned_to_safe_rate), y1: plot.y(0), y2: plot.y(1) }),
        svg("circle", { class: side, cx: plot.x(policy.max_banned_to_safe_rate), cy: plot.y(allowed[side]), r: 5 }),
      ])),
    make("figcaption", {}, make("ul", { class: "key" }, ...sides.map(([side], i) => make("li", { class: side }, words[i])).reverse())));
}

function steps(plot, points, end) {
  let reached = 0;
  const found = [[0, 0]];
  for (const [rate, share] of points) {
    if (rate > end) break;
    found.push([rate, reached], [rate, share]);
    reached = share;
  }
  found.push([end, reached]);
  return found.map(([x, y]) => `${plot.x(x)},${plot.y(y)}`).join(" ");
}
