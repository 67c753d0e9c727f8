// Saved filters of bulk actions: each person's own, kept by the server.

import { byId, fill, make, spoken } from "../dom.js";
import { asked } from "./asking.js";
import { say, tell } from "./say.js";

let filters = [];
let categories = [];
let onChosen = () => {};

/** Begins; `chosen` is called with a saved filter that was chosen, {category, policy}. */
export function start(setup, chosen) {
  filters = setup.preferences.filters;
  categories = setup.categories;
  onChosen = chosen;
  byId("bulk-saved").addEventListener("change", choose);
  byId("bulk-save").addEventListener("click", save);
  byId("bulk-unsave").addEventListener("click", remove);
  list("");
}

function list(value) {
  const name = ({ category, policy }) => `${spoken(categories.find((one) => one.code === category)?.name ?? category)} · ${policy ?? "any policy"}`;
  fill(byId("bulk-saved"), make("option", { value: "" }, filters.length > 0 ? "choose" : "none yet"), ...filters.map((one, i) => make("option", { value: String(i) }, name(one))));
  byId("bulk-saved").value = value;
  byId("bulk-unsave").disabled = value === "";
}

function choose() {
  const { value } = byId("bulk-saved");
  byId("bulk-unsave").disabled = value === "";
  if (value !== "") onChosen(filters[Number(value)]);
}

async function save() {
  const filter = { category: byId("bulk-category").value, policy: byId("bulk-policy").value || null };
  if (!filter.category) {
    tell("Choose a category first: a saved filter names one.");
    return;
  }
  const known = filters.findIndex((one) => one.category === filter.category && one.policy === filter.policy);
  if (known < 0 && !(await keep([...filters, filter]))) return;
  list(String(known < 0 ? filters.length - 1 : known));
  say("Filter saved.");
}

async function remove() {
  const at = Number(byId("bulk-saved").value);
  if (!(await keep(filters.filter((_, i) => i !== at)))) return;
  list("");
  say("Filter removed.");
}

async function keep(wanted) {
  try {
    ({ filters } = await asked("/review/preferences", { filters: wanted }));
    return true;
  } catch (refused) {
    tell(refused.message);
    return false;
  }
}
