// The registry's history, and serving an earlier bundle again.

import { byId, fill, make } from "../dom.js";
import { percent } from "../figures/svg.js";
import { Refused, ask } from "../server.js";

const isAdmin = () => byId("registry-panel").dataset.admin === "yes";
const short = (digest) => digest.slice(0, 19);
const day = (iso) => iso.slice(0, 16).replace("T", " ");

export async function showRegistry() {
  let answer = null;
  try {
    answer = await ask("/model/registry");
  } catch (error) {
    return refused(error);
  }
  if (answer.history === null) {
    fill(byId("registry"), make("p", { class: "hint" }, "Neither CONSOLE_MODEL__PATH nor the worker's MODERATION_MODEL__PATH names a registry, so there is no history, and nothing to promote. ", make("code", {}, "python -m training_pipeline promote"), " makes one."));
    return undefined;
  }
  const notes = [];
  if (answer.served_here !== answer.current) notes.push(make("p", { class: "note bad" }, `The registry serves ${short(answer.current)}; this console was started with ${short(answer.served_here)} and shows that. Restart it to follow.`));
  if (!answer.is_writable && isAdmin()) notes.push(make("p", { class: "note" }, "The registry cannot be written from here. Promote and roll back where it can: python -m training_pipeline rollback --registry REGISTRY --to DIGEST --reason TEXT."));
  if (answer.is_signed) notes.push(make("p", { class: "hint" }, "The registry is signed: a bundle is served again under the signature it has. A new bundle, or one without a signature, needs the key and the command line: python -m training_pipeline promote --sign-key KEY."));
  if (!isAdmin()) notes.push(make("p", { class: "hint" }, "Admins can go back to an earlier bundle, and forth again."));
  const steps = new Set();
  fill(byId("registry"), ...notes, make("ol", { class: "history" }, ...answer.history.map((entry) => {
    // One button for each bundle, at its newest entry.
    const isOffered = isAdmin() && entry.step !== null && !entry.is_current && !steps.has(entry.digest);
    steps.add(entry.digest);
    return line(entry, answer, isOffered);
  })));
  return undefined;
}

function line(entry, answer, isOffered) {
  return make("li", { class: entry.is_current && "current" },
    make("div", { class: "what" },
      make("b", {}, entry.location), " ", make("code", { title: entry.digest }, short(entry.digest)),
      entry.is_current && make("span", { class: "tag" }, "served"),
      entry.is_signed && make("span", { class: "tag quiet" }, "signed")),
    make("p", { class: "hint" }, `${entry.action === "rollback" ? "Rolled back to" : "Promoted"} ${day(entry.set_at)} UTC ${entry.by === null ? "by a command" : `by ${entry.by}`}${entry.reason === null ? "" : `: ${entry.reason}`}`),
    gate(entry.gate),
    isOffered && act(entry, answer));
}

function gate(found) {
  if (found === null) return make("p", { class: "hint" }, "No gate is recorded: the first bundle of a registry, or a forced one.");
  const figures = Array.isArray(found.figures) ? found.figures : [];
  const rate = (value) => (typeof value === "number" ? percent(value, 2) : "–");
  return make("details", {},
    make("summary", {}, `Gate ${found.passes === true ? "passed" : "not passed"}, against ${short(String(found.against))}, ${Number(found.n_chats ?? 0).toLocaleString("en")} chats`),
    make("div", { class: "scroll" }, make("table", { class: "sheet" },
      make("thead", {}, make("tr", {}, ...["figure", "chats", "before", "this one", "95 % interval of the difference", ""].map((title, i) => make("th", { scope: "col", class: i > 0 && i < 5 && "number" }, title)))),
      make("tbody", {}, ...figures.map((one) => make("tr", {},
        make("td", {}, String(one.figure)), make("td", { class: "number" }, String(one.n_chats)),
        make("td", { class: "number" }, rate(one.current)), make("td", { class: "number" }, rate(one.candidate)),
        make("td", { class: "number" }, `${rate(one.low)} to ${rate(one.high)}`),
        make("td", {}, one.rule === "none" ? "" : one.passes ? "passes" : make("b", { "data-decision": "block" }, "fails"))))))));
}

function act(entry, answer) {
  const isBack = entry.step === "rollback";
  if (entry.refusal !== null) return make("p", { class: "hint" }, `Not to be promoted from here: ${entry.refusal}`);
  const form = make("form", { class: "act", hidden: true, onsubmit: (event) => { event.preventDefault(); serve(entry, answer, form); } },
    make("label", {}, "Reason ", make("input", { maxlength: "500", required: true, autocomplete: "off" })),
    make("button", { class: "primary" }, isBack ? "Roll back" : "Promote"),
    make("button", { type: "button", class: "quiet", onclick: () => { form.hidden = true; button.hidden = false; button.focus(); } }, "Leave it"),
    make("p", { class: "hint" }, "Workers take it within seconds, after their own checks. It is written to the access log with your name."));
  const button = make("button", {
    type: "button",
    disabled: !answer.is_writable,
    onclick: () => { form.hidden = false; button.hidden = true; form.querySelector("input").focus(); },
  }, isBack ? "Roll back to this one…" : "Promote again…");
  return make("div", {}, button, form);
}

async function serve(entry, answer, form) {
  byId("registry-refused").textContent = "";
  const submit = form.querySelector("button");
  submit.disabled = true;
  try {
    const done = await ask("/model/serve", { digest: entry.digest, current: answer.current, reason: form.querySelector("input").value });
    byId("registry-said").textContent = `${done.action === "rollback" ? "Rolled back to" : "Promoted"} ${short(done.digest)}. Workers follow.`;
    byId("registry-said").hidden = false;
    await showRegistry();
  } catch (error) {
    submit.disabled = false;
    refused(error);
  }
}

function refused(error) {
  if (!(error instanceof Refused)) throw error;
  byId("registry-refused").textContent = error.message;
}
