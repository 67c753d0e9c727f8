"""Turn verdicts into what the ad exchange is told: OpenRTB 2.6, Prebid's first-party data or key-values.

Usage: exchange.py FORM TAXONOMY SEGTAX [POLICY] < verdicts.jsonl

FORM is openrtb, prebid or key-values. TAXONOMY is the output of `python -m schemas taxonomy show NAME --json`. SEGTAX
is the number that is registered for the segments. One line in, one line out; `bid` is false where no bid request is
sent.
"""

import hashlib
import hmac
import json
import sys
from datetime import UTC, datetime
from typing import Any

CATTAX = 7
PROVIDER = "verdictstream"
ID_KEY = b"verdictstream"
SPECIAL = {"186", "187", "286", "301", "383", "453"}
BANDS = [(0.01, "very_low"), (0.05, "low"), (0.20, "medium")]
V1_TAXONOMY = {"name": "chat-13", "version": "1"}

Signal = dict[str, Any]


def signal_of(outcome: dict[str, Any] | None, policy: str | None, taxonomy: dict[str, Any]) -> Signal:
    """Return what is said of a chat: of its newest verdict, its marker, or None where there is neither."""
    if outcome is None:
        return {"decision": "unknown", "risk": "unknown"}
    identity = hmac.new(ID_KEY, outcome["chat_id"].encode(), hashlib.sha256).hexdigest()[:32]
    if "rejected" in outcome:
        return {"decision": "unknown", "risk": "unknown", "id": identity}
    if outcome["schema_version"] not in (1, 2):
        raise ValueError(f"found schema_version {outcome['schema_version']}, expected 1 or 2")
    default = outcome["policy"]
    name = policy or default["name"]
    # Version 1 has one policy and one taxonomy.
    decisions = outcome.get("decisions") or {default["name"]: {**outcome, "version": default["version"]}}
    if (decided := decisions.get(name)) is None:
        return {"decision": "unknown", "risk": "unknown", "id": identity}
    if decided["decision"] == "block":
        return {"decision": "block", "id": identity}
    decision, by = decided["decision"], decided.get("decided_by")
    of, unevaluated = outcome.get("taxonomy", V1_TAXONOMY), outcome.get("unevaluated", [])
    code = outcome["category"]["code"]
    is_known = (of["name"], of["version"]) == (taxonomy["name"], taxonomy["version"])
    ids = next((one["iab_content"] for one in taxonomy["categories"] if one["code"] == code), []) if is_known else []
    risk = "unknown"
    if name == default["name"] and not unevaluated:
        risk = next((band for most, band in BANDS if outcome["banned_to_safe_risk"] <= most), "high")
    return {
        "decision": "unevaluated" if decision == "review" and by == "unevaluated" else decision,
        "risk": risk,
        "id": identity,
        "policy": f"{name}@{decided['version']}",
        "category": code,
        "category_name": outcome["category"]["name"],
        "iab": ids,
        "taxonomy": f"{of['name']}@{of['version']}",
        "model": f"{outcome['model']['name']}@{outcome['model']['version']}",
        "language": outcome.get("language"),
        "event_time": event_time(outcome["source"]["timestamp_ms"]),
        "verdict_id": outcome["verdict_id"],
        "unevaluated": unevaluated,
    }


def event_time(timestamp_ms: int) -> str | None:
    """Return a record's time; None for one that can be no time in milliseconds."""
    if not 1_293_840_000_000 <= timestamp_ms < 4_102_444_800_000:
        return None
    return f"{datetime.fromtimestamp(timestamp_ms // 1_000, UTC):%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1_000:03d}Z"


def is_sensitive(signal: Signal) -> bool:
    """Say whether an id is special category data, which is never sent with a user's id."""
    return not SPECIAL.isdisjoint(signal.get("iab", []))


def document(signal: Signal, form: str, segtax: int) -> dict[str, Any] | None:
    """Return a signal in a form; None where no bid request is sent."""
    # A browser and an ad server add user ids by themselves.
    unnamed = {**signal, "category": None, "iab": []} if is_sensitive(signal) else signal
    if form == "key-values":
        return key_values(unnamed)
    if signal["decision"] == "block":
        return None
    if form == "prebid":
        content = {**identity(signal), **data(unnamed, segtax)}
        site = {**categories(unnamed), "content": content, "ext": {"data": key_values(unnamed)}}
        return {"ortb2": {"site": site}}
    said = ("decision", "risk", "policy", "taxonomy", "model", "event_time", "verdict_id", "unevaluated")
    extension = {name: signal[name] for name in said if signal.get(name)}
    if is_sensitive(signal):
        extension["sensitive"] = True
    content = {
        **identity(signal),
        "context": 4,
        "cattax": CATTAX,
        "cat": [*signal.get("iab", []), "1012"],
        **data(signal, segtax),
        "ext": {"verdictstream": extension},
    }
    return {"site": {**categories(signal), "content": content}}


def key_values(signal: Signal) -> dict[str, str]:
    """Return an ad server's key-values: keys of at most 20 characters, values of at most 40."""
    values = {"vs_decision": signal["decision"]}
    if signal["decision"] not in ("block", "unknown"):
        values["vs_risk"] = signal["risk"]
        if signal["category"] and len(signal["category"]) <= 40:
            values["vs_category"] = signal["category"]
    return values


def categories(signal: Signal) -> dict[str, Any]:
    """Return what a site has of them: ids of Content Taxonomy 3.0, by its number."""
    ids = signal.get("iab", [])
    return {"cattax": CATTAX, **({"cat": ids, "pagecat": ids} if ids else {})}


def identity(signal: Signal) -> dict[str, Any]:
    """Return id and language; `language` takes two letters, `langb` any tag."""
    known = {"id": signal["id"]} if signal.get("id") else {}
    if language := signal.get("language"):
        known["language" if len(language) == 2 else "langb"] = language
    return known


def data(signal: Signal, segtax: int) -> dict[str, Any]:
    """Return the segments under the registered number."""
    segments = [{"id": f"decision:{signal['decision']}"}, {"id": f"risk:{signal['risk']}"}]
    if signal.get("category"):
        segments.insert(0, {"id": signal["category"], "name": signal["category_name"]})
    return {"data": [{"name": PROVIDER, "segment": segments, "ext": {"segtax": segtax}}]}


def main() -> None:
    """Read verdicts from standard input, print one line for each."""
    form, taxonomy_file, segtax, *policy = sys.argv[1:]
    with open(taxonomy_file, encoding="utf-8") as file:  # noqa: PTH123  one import less
        taxonomy = json.load(file)
    for line in sys.stdin.buffer:
        signal = signal_of(json.loads(line), policy[0] if policy else None, taxonomy)
        shown = document(signal, form, int(segtax))
        bid = signal["decision"] != "block"
        print(json.dumps({"id": signal.get("id"), "decision": signal["decision"], "bid": bid, "document": shown}))


if __name__ == "__main__":
    main()
