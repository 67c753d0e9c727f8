"""Take the decision of any policy from a verdict and the policy table, as the worker does.

    python3 decide.py TABLE < VERDICTS

TABLE holds the rows that `python -m model thresholds --json` prints, or those of topic `verdict-policies`; VERDICTS one
verdict a line. Prints one JSON line for each verdict. Rows of other bundles and versions are passed over. Ends with an
error at a verdict or a row that it does not know, and at a verdict without any row of its bundle.
"""

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Decided = tuple[str, str]
"""A decision and what it rests on."""

UNITS = 1_000_000
"""Evidence has six decimals: as whole numbers, sums and comparisons are exact."""


def units(number: float) -> int:
    """Return a number from the wire as a whole number of its last decimal."""
    return round(number * UNITS)


def score(verdict: Json, codes: Collection[str], decimals: int, *, is_half_up: bool) -> int:
    """Return the sum of the evidence of some codes."""
    step: int = 10 ** (6 - decimals)
    half = (step if is_half_up else step - 1) // 2
    values = (units(verdict["evidence"][code]) for code in codes)
    return min(UNITS, sum((value + half) // step * step for value in values))


def by_score(verdict: Json, row: Json, counted: Collection[str], must: Collection[str], decimals: int) -> str:
    """Return what the score alone gives: of a policy, or of the floor."""
    is_below = score(verdict, counted, decimals, is_half_up=True) < units(row["allow_below"])
    if is_below and verdict["category"]["code"] not in counted:
        return "allow"
    is_reached = score(verdict, must, decimals, is_half_up=False) >= units(row["block_from"])
    return "block" if is_reached else "review"


def at_best(verdict: Json, row: Json) -> str:
    """Return the best decision that is left where something of the chat was not evaluated."""
    fields = ("uncalibrated_languages" if reason == "language" else "unevaluated" for reason in verdict["unevaluated"])
    wanted = {row[field] for field in fields}
    return "block" if "block" in wanted else "review" if "review" in wanted else "allow"


def exceeds_limits(verdict: Json, row: Json) -> bool:
    """Say whether the chat is in a language, or holds a message of a length, that the policy does not take."""
    language, languages = verdict["language"], row["languages"]
    if languages is not None and language is not None and language not in languages:
        return True
    longest, most = verdict.get("longest_message"), row["max_message_characters"]
    return most is not None and (longest is None or longest > most)


def own(verdict: Json, row: Json) -> Decided:
    """Return what the policy itself says."""
    counted = row["must"] + row["should"]
    decision = by_score(verdict, row, counted, row["must"], row["evidence_decimals"])
    left = at_best(verdict, row) if counted else "allow"
    if (left == "block" and decision != "block") or (left == "review" and decision == "allow"):
        return left, "unevaluated"
    by = "model" if row["requested_by"] is None else "advertiser"
    if decision == "allow" and exceeds_limits(verdict, row):
        return "review", by
    if not counted:
        return "allow", "nothing_banned"
    return decision, by if row["calibrated"] else "unevaluated"


def final(verdict: Json, row: Json, floor: str) -> Decided | None:
    """Return what no policy changes: the floor, validity, lists and people. None where none of them speaks."""
    if floor == "block":
        return "block", "floor"
    # All times have six decimals and are UTC, so they compare as texts.
    now, start, end = verdict["decided_at"], row["valid_from"], row["valid_until"]
    if (start is not None and now < start) or (end is not None and now >= end):
        return "block", "advertiser"
    # What no row tells is in the verdict.
    if any(one["decided_by"] == "deny_list" for one in verdict["decisions"].values()):
        return "block", "deny_list"
    said = verdict["decisions"].get(row["policy"]["name"])
    if said is not None and said["decided_by"] == "override":
        return said["decision"], "override"
    return None


def decide(verdict: Json, row: Json) -> Decided:
    """Return a policy's decision on a verdict; the first that speaks counts."""
    if verdict["schema_version"] != 2 or row["schema_version"] != 1:
        sys.exit(f"schema_version is {verdict['schema_version']} and {row['schema_version']}; expected 2 and 1")
    if verdict["model"]["digest"] != row["model"]["digest"]:
        sys.exit(f"the verdict is of bundle {verdict['model']['digest']}, the row of {row['model']['digest']}")
    floor = "allow"
    if row["floor"] is not None:
        codes = row["floor"]["codes"]
        floor = by_score(verdict, row["floor"], codes, codes, row["evidence_decimals"])
    decided = final(verdict, row, floor) or own(verdict, row)
    if decided[0] != "allow" or decided[1] == "override":
        return decided
    if floor == "review":
        return "review", "floor"
    others = verdict["decisions"]
    said = others.get(row["policy"]["name"])
    if said is not None and said["decided_by"] == "hold":
        return "review", "hold"
    # A policy that the worker does not have: whether a person's block was meant for it too, is not known.
    if said is None and any((one["decision"], one["decided_by"]) == ("block", "override") for one in others.values()):
        return "review", "override"
    return decided


def rows_for(verdict: Json, table: list[Json]) -> list[Json]:
    """Return one row for each policy: of the verdict's bundle and the version that decided.

    Where a policy did not decide, or its version has no row, the last row of its name counts.
    """
    found: dict[str, Json] = {}
    for row in table:
        policy = row["policy"]
        if row["model"]["digest"] != verdict["model"]["digest"]:
            continue
        version = verdict["decisions"].get(policy["name"], policy)["version"]
        if policy["name"] not in found or found[policy["name"]]["policy"]["version"] != version:
            found[policy["name"]] = row
    if not found:
        sys.exit(f"the table has no row of bundle {verdict['model']['digest']}; expected those of each bundle in use")
    return list(found.values())


def main() -> None:
    """Read the table and verdicts, print decisions."""
    table = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines() if line.strip()]
    for line in sys.stdin:
        verdict = json.loads(line)
        decisions = {row["policy"]["name"]: decide(verdict, row) for row in rows_for(verdict, table)}
        print(json.dumps({"verdict_id": verdict["verdict_id"], "decisions": decisions}))


if __name__ == "__main__":
    main()
