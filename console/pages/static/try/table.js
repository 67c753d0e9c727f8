// A table of texts: read here, judged in small parts, downloaded with the answers beside.

import { byId, count, fill, make, share, spoken } from "../dom.js";
import { rowsOf, textOf } from "./csv.js";

const MOST_ROWS = 10_000;
const MOST_BYTES = 50_000_000;
const MOST_COLUMNS = 1_000;
const PART_ROWS = 32;
const MOST_LATE = 20;
const PART_CHARACTERS = 500_000;
const SHOWN_ROWS = 100;
const SHOWN_CHARACTERS = 160;
const LIKELY = /^(text|message|content|comment|body|prompt|query|post)$/i;
const ADDED = ["category", "category_name", "probability", "decision", "banned_probability", "banned_to_safe_risk", "rejected", "error"];

let file = null;
let running = null;

export function start(ask, bundle) {
  const drop = byId("drop");
  byId("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); event.target.value = ""; });
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { drop.classList.remove("over"); if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]); });
  byId("headed").addEventListener("change", show);
  byId("column").addEventListener("change", preview);
  byId("start").addEventListener("click", () => classify(ask, bundle()));
  byId("stop").addEventListener("click", () => running?.abort());
  byId("download").addEventListener("click", download);
}

const say = (text) => { byId("table-said").textContent = text; };

async function open(chosen) {
  running?.abort();
  say("");
  try {
    if (chosen.size > MOST_BYTES) throw new Error(`The file has ${chosen.size.toLocaleString("en")} bytes; at most ${MOST_BYTES.toLocaleString("en")} are read.`);
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
    } catch {
      throw new Error("The file is not in UTF-8. Save it as CSV UTF-8 and drop it again.");
    }
    const rows = rowsOf(text);
    if (rows.length < 1) throw new Error("The file holds no row.");
    if (rows.length > MOST_ROWS + 1) throw new Error(`The file has ${count(rows.length - 1, "row")} below its first; at most ${MOST_ROWS.toLocaleString("en")} are judged here. For more, use the API or a topic.`);
    const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
    if (width > MOST_COLUMNS) throw new Error(`A row has ${width.toLocaleString("en")} columns; at most ${MOST_COLUMNS.toLocaleString("en")} are read. Is it the right file?`);
    file = { name: chosen.name, rows, width, answers: [] };
    byId("headed").checked = rows.length > 1;
    byId("rows").hidden = false;
    show();
  } catch (error) {
    say(error.message);
  }
}

const body = () => (byId("headed").checked ? file.rows.slice(1) : file.rows);
const names = () => Array.from({ length: file.width }, (_, i) => (byId("headed").checked && file.rows[0][i]) || `column ${i + 1}`);
const text = (row) => (row[Number(byId("column").value)] ?? "").toWellFormed();

function show() {
  const select = byId("column");
  fill(select, ...names().map((name, i) => make("option", { value: i }, name)));
  const likely = names().findIndex((name) => LIKELY.test(name.trim()));
  const length = (i) => body().slice(0, SHOWN_ROWS).reduce((sum, row) => sum + (row[i]?.length ?? 0), 0);
  select.value = likely >= 0 ? likely : names().map((_, i) => i).reduce((best, i) => (length(i) > length(best) ? i : best), 0);
  preview();
}

function preview() {
  running?.abort();
  file.answers = [];
  byId("download").disabled = true;
  fill(byId("preview"), ...body().slice(0, SHOWN_ROWS).map((row) => line(row)));
  progress(`${count(body().length, "row")} of ${file.name}`);
}

function line(row, answer = null) {
  const cell = (value, name = null) => make("td", { class: name }, value);
  return make("tr", {},
    make("td", { class: "text", dir: "auto" }, text(row).slice(0, SHOWN_CHARACTERS)),
    cell(answer?.error || spoken(answer?.name ?? ""), answer?.error ? "refused" : null),
    make("td", {}, answer?.decision ? make("b", { "data-decision": answer.decision }, answer.decision) : ""),
    cell(answer?.decision ? share(answer.probability) : "", "number"),
    cell(answer?.decision ? share(answer.banned_probability) : "", "number"));
}

function progress(said) {
  byId("progress").max = Math.max(1, body().length);
  byId("progress").value = file.answers.length;
  byId("done").textContent = said;
}

/** Rows of one request: not too many, and not too long together. */
function part(rows, from, most) {
  let to = from, length = 0;
  while (to < rows.length && to - from < most && (to === from || length + text(rows[to]).length <= PART_CHARACTERS)) {
    length += text(rows[to]).length;
    to += 1;
  }
  return rows.slice(from, to);
}

async function classify(ask, bundle) {
  preview();
  const mine = new AbortController();
  running = mine;
  const rows = body();
  byId("start").disabled = true;
  byId("stop").disabled = false;
  const started = performance.now();
  let most = PART_ROWS, late = 0;
  try {
    while (file.answers.length < rows.length) {
      const some = part(rows, file.answers.length, most);
      let answer;
      try {
        answer = await ask("/try/table", { bundle, texts: some.map(text) }, { signal: mine.signal });
      } catch (error) {
        // Other requests go first: what was not done by its deadline is asked again, in a smaller part; what is too large
        // for one request, too, and alone it is refused as one row.
        if (error.status === 413 && some.length === 1) answer = { rows: [{ rejected: "too_large", error: error.message }] };
        else {
          if (![413, 504].includes(error.status) || (late += 1) > MOST_LATE) throw error;
          most = Math.max(1, Math.floor(some.length / 2));
          continue;
        }
      }
      most = Math.min(PART_ROWS, most * 2);
      late = 0;
      const first = file.answers.length;
      file.answers.push(...answer.rows);
      answer.rows.forEach((row, i) => byId("preview").children[first + i]?.replaceWith(line(some[i], row)));
      const perSecond = file.answers.length / ((performance.now() - started) / 1000);
      progress(`${file.answers.length.toLocaleString("en")} of ${count(rows.length, "row")}, ${Math.round(perSecond).toLocaleString("en")} a second`);
    }
    const failed = file.answers.filter((row) => row.error).length;
    progress(`${count(rows.length, "row")} classified${failed ? `, ${count(failed, "row")} refused` : ""}`);
  } catch (error) {
    if (mine.signal.aborted) progress(`stopped after ${count(file.answers.length, "row")}`);
    else say(error.message);
  }
  byId("start").disabled = false;
  byId("stop").disabled = true;
  byId("download").disabled = file.answers.length === 0;
}

function download() {
  const added = (row) => [row.category, row.name, row.probability, row.decision, row.banned_probability, row.risk, row.rejected, row.error];
  const columns = names();
  const rows = body().slice(0, file.answers.length).map((row, i) => [...columns.map((_, at) => row[at]), ...added(file.answers[i])]);
  const content = textOf([[...columns, ...ADDED], ...rows]);
  const url = URL.createObjectURL(new Blob(["\ufeff", content], { type: "text/csv" }));
  make("a", { href: url, download: `${file.name.replace(/\.\w+$/, "")}-verdicts.csv` }).click();
  URL.revokeObjectURL(url);
}
