// The part of Markdown that model cards are written in, as elements. All text goes in as text nodes, and nothing links.

import { make } from "../dom.js";

const TABLE_LINE = /^\s*\|(.*)\|\s*$/u;
const RULE_LINE = /^\s*\|(\s*:?-+:?\s*\|)+\s*$/u;
const ITEM_LINE = /^\s*(?:[-*]|\d+\.)\s+/u;
const HEADING = /^(#{1,6})\s+(.*)$/u;
const INLINE = /(`[^`]+`|\*\*[^*]+\*\*)/u;

/** Makes the elements of a document; a heading of level one becomes one of level `top`. */
export function markdown(text, top = 3) {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const made = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const heading = HEADING.exec(line);
    if (line.trim() === "") at += 1;
    else if (heading !== null) {
      made.push(make(`h${Math.min(6, heading[1].length + top - 1)}`, {}, ...inline(heading[2])));
      at += 1;
    } else {
      const [element, next] = block(lines, at);
      made.push(element);
      at = next;
    }
  }
  return made;
}

function block(lines, at) {
  if (lines[at].startsWith("```")) return fenced(lines, at);
  if (/^ {4}\S/u.test(lines[at])) return indented(lines, at);
  if (TABLE_LINE.test(lines[at]) && RULE_LINE.test(lines[at + 1] ?? "")) return table(lines, at);
  if (ITEM_LINE.test(lines[at])) return list(lines, at);
  return paragraph(lines, at);
}

function until(lines, at, isEnd) {
  let end = at;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  return end;
}

function fenced(lines, at) {
  const end = until(lines, at + 1, (line) => line.startsWith("```"));
  return [make("pre", {}, lines.slice(at + 1, end).join("\n")), end + 1];
}

function indented(lines, at) {
  const end = until(lines, at, (line) => !/^ {4}/u.test(line));
  return [make("pre", {}, lines.slice(at, end).map((line) => line.slice(4)).join("\n")), end];
}

function cells(line) {
  return TABLE_LINE.exec(line)[1].split("|").map((cell) => cell.trim());
}

function table(lines, at) {
  const end = until(lines, at + 2, (line) => !TABLE_LINE.test(line));
  const isNumber = (text) => /^[-+<>≤≥\s]*[\d.,]+\s*%?$/u.test(text);
  const rows = lines.slice(at + 2, end).map(cells);
  const ofNumbers = (column) => rows.length > 0 && rows.every((row) => isNumber(row[column] ?? ""));
  return [make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, make("table", { class: "sheet" },
    make("thead", {}, make("tr", {}, ...cells(lines[at]).map((cell, i) => make("th", { scope: "col", class: ofNumbers(i) && "number" }, ...inline(cell))))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) => make("td", { class: ofNumbers(i) && "number" }, ...inline(cell)))))))), end];
}

function list(lines, at) {
  const isOrdered = /^\s*\d+\./u.test(lines[at]);
  const items = [];
  let end = at;
  for (; end < lines.length && lines[end].trim() !== "" && HEADING.exec(lines[end]) === null; end += 1) {
    if (ITEM_LINE.test(lines[end])) items.push(lines[end].replace(ITEM_LINE, ""));
    else items[items.length - 1] += ` ${lines[end].trim()}`;
  }
  return [make(isOrdered ? "ol" : "ul", {}, ...items.map((item) => make("li", {}, ...inline(item)))), end];
}

function paragraph(lines, at) {
  const end = until(lines, at + 1, (line) => line.trim() === "" || HEADING.test(line) || ITEM_LINE.test(line) || TABLE_LINE.test(line) || line.startsWith("```"));
  return [make("p", {}, ...inline(lines.slice(at, end).map((line) => line.trim()).join(" "))), end];
}

function inline(text) {
  return text.split(INLINE).filter((part) => part !== "").map((part) => {
    if (part.length > 2 && part.startsWith("`") && part.endsWith("`")) return make("code", {}, part.slice(1, -1));
    if (part.length > 4 && part.startsWith("**") && part.endsWith("**")) return make("b", {}, part.slice(2, -2));
    return part;
  });
}
