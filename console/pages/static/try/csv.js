// CSV as in RFC 4180, with commas, semicolons or tabs.

const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const NUMBER = /^[-+]?\d+([.,]\d+)?$/;

/** Returns the rows of a file. */
export function rowsOf(text) {
  const source = text.startsWith("\ufeff") ? text.slice(1) : text;
  const separator = separatorOf(source);
  const rows = [];
  let row = [], cell = "", isQuoted = false;
  for (let i = 0; i < source.length; i += 1) {
    const character = source[i];
    if (isQuoted) {
      if (character !== '"') cell += character;
      else if (source[i + 1] === '"') { cell += '"'; i += 1; }
      else isQuoted = false;
    } else if (character === '"' && cell === "") isQuoted = true;
    else if (character === separator) { row.push(cell); cell = ""; }
    else if (character === "\n" || character === "\r") {
      if (character === "\r" && source[i + 1] === "\n") i += 1;
      row.push(cell);
      rows.push(row);
      row = []; cell = "";
    } else cell += character;
  }
  if (cell !== "" || row.length) rows.push([...row, cell]);
  return rows.filter((cells) => cells.some((one) => one !== ""));
}

function separatorOf(source) {
  const line = source.slice(0, source.search(/[\r\n]|$/)).replace(/"[^"]*"/g, "");
  return [",", ";", "\t"].reduce((best, one) => (line.split(one).length > line.split(best).length ? one : best));
}

/** Writes rows. A cell that a spreadsheet would take for a formula begins with an apostrophe. */
export function textOf(rows) {
  return rows.map((cells) => cells.map(written).join(",") + "\r\n").join("");
}

function written(value) {
  let cell = String(value ?? "");
  if (FORMULA.test(cell) && !NUMBER.test(cell)) cell = `'${cell}`;
  // Also where another program's separators stand: one that guesses must not take the rest for a cell of its own.
  return /[",;\t\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
