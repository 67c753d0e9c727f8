// Takes the decision of any policy from a verdict and the policy table, as the worker does.
//
//   node build/decide.js TABLE < VERDICTS
//
// TABLE holds the rows that `python -m model thresholds --json` prints, or those of topic `verdict-policies`; VERDICTS
// one verdict a line. Prints one JSON line for each verdict. Rows of other bundles and versions are passed over. Ends with
// an error at a verdict or a row that it does not know, and at a verdict without any row of its bundle.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

type Decision = "allow" | "review" | "block";
type Wanted = "review" | "block" | "as_is";
type Decided = [Decision, string];

interface Verdict {
  schema_version: number;
  verdict_id: string;
  model: { digest: string };
  category: { code: string };
  evidence: Record<string, number>;
  language: string | null;
  longest_message?: number | null;
  unevaluated: string[];
  decisions: Record<string, { version: string; decision: Decision; decided_by: string }>;
  decided_at: string;
}

interface Thresholds {
  allow_below: number;
  block_from: number;
}

interface Row extends Thresholds {
  schema_version: number;
  model: { digest: string };
  calibrated: boolean;
  policy: { name: string; version: string };
  requested_by: string | null;
  must: string[];
  should: string[];
  evidence_decimals: number;
  floor: (Thresholds & { codes: string[] }) | null;
  unevaluated: Wanted;
  uncalibrated_languages: Wanted;
  languages: string[] | null;
  max_message_characters: number | null;
  valid_from: string | null;
  valid_until: string | null;
}

// Evidence has six decimals: as whole numbers, sums and comparisons are exact.
const UNITS = 1_000_000;
const units = (value: number): number => Math.round(value * UNITS);

function score(verdict: Verdict, codes: string[], decimals: number, isHalfUp: boolean): number {
  const step = 10 ** (6 - decimals);
  const half = Math.floor((isHalfUp ? step : step - 1) / 2);
  const values = codes.map((code) => Math.floor((units(verdict.evidence[code]) + half) / step) * step);
  return Math.min(UNITS, values.reduce((sum, value) => sum + value, 0));
}

// What the score alone gives: of a policy, or of the floor.
function byScore(verdict: Verdict, row: Thresholds, counted: string[], must: string[], decimals: number): Decision {
  const isBelow = score(verdict, counted, decimals, true) < units(row.allow_below);
  if (isBelow && !counted.includes(verdict.category.code)) return "allow";
  return score(verdict, must, decimals, false) >= units(row.block_from) ? "block" : "review";
}

// The best decision that is left where something of the chat was not evaluated.
function atBest(verdict: Verdict, row: Row): Decision {
  const wanted = verdict.unevaluated.map((reason) =>
    reason === "language" ? row.uncalibrated_languages : row.unevaluated,
  );
  return wanted.includes("block") ? "block" : wanted.includes("review") ? "review" : "allow";
}

function exceedsLimits(verdict: Verdict, row: Row): boolean {
  if (row.languages !== null && verdict.language !== null && !row.languages.includes(verdict.language)) return true;
  return row.max_message_characters !== null && (verdict.longest_message ?? Infinity) > row.max_message_characters;
}

// What the policy itself says, and what that rests on.
function own(verdict: Verdict, row: Row): Decided {
  const counted = [...row.must, ...row.should];
  const decision = byScore(verdict, row, counted, row.must, row.evidence_decimals);
  const left = counted.length > 0 ? atBest(verdict, row) : "allow";
  if ((left === "block" && decision !== "block") || (left === "review" && decision === "allow")) {
    return [left, "unevaluated"];
  }
  const by = row.requested_by === null ? "model" : "advertiser";
  if (decision === "allow" && exceedsLimits(verdict, row)) return ["review", by];
  if (counted.length === 0) return ["allow", "nothing_banned"];
  return [decision, row.calibrated ? by : "unevaluated"];
}

// A policy's decision on a verdict, and what it rests on; the first that speaks counts.
export function decide(verdict: Verdict, row: Row): Decided {
  if (verdict.schema_version !== 2 || row.schema_version !== 1) {
    throw new Error(`schema_version is ${verdict.schema_version} and ${row.schema_version}; expected 2 and 1`);
  }
  if (verdict.model.digest !== row.model.digest) {
    throw new Error(`the verdict is of bundle ${verdict.model.digest}, the row of ${row.model.digest}`);
  }
  const codes = row.floor?.codes ?? [];
  const floor = row.floor === null ? "allow" : byScore(verdict, row.floor, codes, codes, row.evidence_decimals);
  if (floor === "block") return ["block", "floor"];
  // Both times have six decimals and are UTC, so they compare as texts.
  const now = verdict.decided_at;
  if ((row.valid_from !== null && now < row.valid_from) || (row.valid_until !== null && now >= row.valid_until)) {
    return ["block", "advertiser"];
  }
  // What no row tells is in the verdict: lists, people, earlier decisions.
  const others = Object.values(verdict.decisions);
  const said = Object.hasOwn(verdict.decisions, row.policy.name) ? verdict.decisions[row.policy.name] : undefined;
  if (others.some((one) => one.decided_by === "deny_list")) return ["block", "deny_list"];
  if (said?.decided_by === "override") return [said.decision, "override"];
  const [decision, by] = own(verdict, row);
  if (decision !== "allow") return [decision, by];
  if (floor === "review") return ["review", "floor"];
  if (said?.decided_by === "hold") return ["review", "hold"];
  // A policy that the worker does not have: whose block this is, and whether it was meant for all, is not known.
  if (said === undefined && others.some((one) => one.decision === "block" && one.decided_by === "override")) {
    return ["review", "override"];
  }
  return [decision, by];
}

// One row for each policy: of the verdict's bundle and the version that decided. Where a policy did not decide, or its
// version has no row, the last row of its name counts.
function rowsFor(verdict: Verdict, table: Row[]): Row[] {
  const found = new Map<string, Row>();
  for (const row of table) {
    if (row.model.digest !== verdict.model.digest) continue;
    const { name, version } = row.policy;
    const decided = Object.hasOwn(verdict.decisions, name) ? verdict.decisions[name].version : version;
    if (found.get(name)?.policy.version !== decided) found.set(name, row);
  }
  if (found.size === 0) {
    throw new Error(`the table has no row of bundle ${verdict.model.digest}; expected those of each bundle in use`);
  }
  return [...found.values()];
}

const table: Row[] = readFileSync(process.argv[2], "utf8")
  .split("\n")
  .filter((line) => line.trim() !== "")
  .map((line) => JSON.parse(line));
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const verdict: Verdict = JSON.parse(line);
  const decisions = Object.fromEntries(rowsFor(verdict, table).map((row) => [row.policy.name, decide(verdict, row)]));
  process.stdout.write(`${JSON.stringify({ verdict_id: verdict.verdict_id, decisions })}\n`);
}
