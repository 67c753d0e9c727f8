// The form of a policy: a policy goes in, and what the person made of it comes out.

import { byId, fill, make, spoken } from "../dom.js";

/** Where the sliders stop, in percent; the fields beside them take any number. */
const STOPS = [0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50];
const FIRMNESS = [["must", "must"], ["should", "should"], ["may", "may"], ["", "no"]];

const rateOf = (position) => STOPS[position] / 100;
/** The stop that is nearest, as ratios go. */
const positionOf = (rate) => {
  const distances = STOPS.map((stop) => Math.abs(Math.log(stop / 100 / Math.max(1e-9, rate))));
  return distances.indexOf(Math.min(...distances));
};
const inPercent = (rate) => String(Number((100 * rate).toPrecision(12)));

/** The version after one: its last number, raised. */
export function nextVersion(version) {
  const numbers = version.split(".");
  numbers.push(String(BigInt(numbers.pop()) + 1n));
  return numbers.join(".");
}

const inUtc = (time) => (time === null ? "" : new Date(time).toISOString().slice(0, 19));
const orNull = (text) => (text.trim() === "" ? null : text.trim());

export class Form {
  /** `onChange` is told of each change, a slider's too. */
  constructor(onChange) {
    this.onChange = onChange;
    this.taxonomy = null;
    for (const [slider, field] of [["allow-slider", "allow-rate"], ["block-slider", "block-rate"]]) {
      byId(slider).max = STOPS.length - 1;
      byId(slider).addEventListener("input", () => {
        const rate = rateOf(Number(byId(slider).value));
        byId(field).value = inPercent(rate);
        byId(slider).setAttribute("aria-valuetext", `${inPercent(rate)} %`);
      });
      byId(field).addEventListener("input", () => this.#place(slider, Number(byId(field).value) / 100));
    }
    byId("form").addEventListener("input", onChange);
    byId("form").addEventListener("submit", (event) => event.preventDefault());
  }

  #place(slider, rate) {
    byId(slider).value = positionOf(rate);
    byId(slider).setAttribute("aria-valuetext", `${inPercent(rate)} %`);
  }

  /** Makes the rows of the categories. */
  categories(taxonomy, categories) {
    this.taxonomy = taxonomy;
    this.codes = categories.map((one) => one.code);
    fill(byId("categories"), ...categories.map(({ code, name, description, is_floor: isFloor }) => make("fieldset", { title: description },
      make("legend", {}, spoken(name), " ", make("code", {}, code), isFloor && make("span", { class: "floor" }, " never allowed")),
      make("div", { class: "segments" }, ...FIRMNESS.map(([value, title]) => make("label", { class: value || "no" },
        make("input", { type: "radio", name: `category-${code}`, value, "aria-label": `${spoken(name)}: ${title}` }), title))))));
  }

  /** Shows a policy. */
  show(policy) {
    byId("name").value = policy.name;
    byId("version").value = policy.version;
    for (const code of this.codes) {
      const firmness = policy.banned.includes(code) ? policy.enforcement[code] ?? "must" : "";
      document.querySelector(`input[name="category-${CSS.escape(code)}"][value="${firmness}"]`).checked = true;
    }
    for (const [slider, field, rate] of [
      ["allow-slider", "allow-rate", policy.max_banned_to_safe_rate],
      ["block-slider", "block-rate", policy.max_safe_to_banned_rate],
    ]) {
      byId(field).value = inPercent(rate);
      this.#place(slider, rate);
    }
    byId("languages").value = (policy.languages ?? []).join(", ");
    byId("uncalibrated").value = policy.uncalibrated_languages;
    byId("unevaluated").value = policy.unevaluated;
    byId("longest").value = policy.max_message_characters ?? "";
    byId("hold").value = policy.hold_block_s || "";
    byId("from").value = inUtc(policy.valid_from);
    byId("until").value = inUtc(policy.valid_until);
    byId("requested").value = policy.requested_by ?? "";
  }

  /** The policy as the server reads it; what is wrong with it the server says. */
  policy() {
    const enforcement = {};
    const banned = [];
    for (const code of this.codes) {
      const firmness = document.querySelector(`input[name="category-${CSS.escape(code)}"]:checked`)?.value ?? "";
      if (firmness !== "") banned.push(code);
      if (firmness === "should" || firmness === "may") enforcement[code] = firmness;
    }
    const languages = byId("languages").value.split(",").map((one) => one.trim().toLowerCase()).filter(Boolean);
    const number = (id) => (byId(id).value === "" ? null : Number(byId(id).value));
    const time = (id) => (byId(id).value === "" ? null : `${byId(id).value}${byId(id).value.length === 16 ? ":00" : ""}Z`);
    return {
      name: byId("name").value.trim(),
      version: byId("version").value.trim(),
      taxonomy: this.taxonomy,
      banned,
      enforcement,
      max_banned_to_safe_rate: Number((Number(byId("allow-rate").value) / 100).toPrecision(12)),
      max_safe_to_banned_rate: Number((Number(byId("block-rate").value) / 100).toPrecision(12)),
      languages: languages.length > 0 ? languages : null,
      uncalibrated_languages: byId("uncalibrated").value,
      unevaluated: byId("unevaluated").value,
      max_message_characters: number("longest"),
      hold_block_s: number("hold") ?? 0,
      valid_from: time("from"),
      valid_until: time("until"),
      requested_by: orNull(byId("requested").value),
    };
  }
}
