"""The three forms of a signal: what stands where, and what must never stand there."""

from typing import Any

import orjson
import pytest

from schemas.exchange import ExchangeOptions, Form, RiskBand, Signal, SignalDecision, document

SIGNAL = Signal(
    decision=SignalDecision.ALLOW,
    id="0123456789abcdef0123456789abcdef",
    risk=RiskBand.LOW,
    policy="acme@7",
    category="F",
    category_name="programming_and_data_analysis",
    iab=("596", "602"),
    taxonomy="chat-13@1",
    model="ad-safety@1.10.2",
    language="en",
    event_time="2023-11-14T22:13:20.123Z",
    verdict_id="0f" * 16,
)
OPTIONS = ExchangeOptions(segtax=600)


def changed(**fields: Any) -> Signal:
    """Return the signal with other values."""
    return Signal(**{**vars(SIGNAL), **fields})


def test_openrtb_says_taxonomy_segments_and_decision() -> None:
    """The whole, as an exchange gets it."""
    assert document(SIGNAL, Form.OPENRTB, OPTIONS) == {
        "site": {
            "cattax": 7,
            "cat": ["596", "602"],
            "pagecat": ["596", "602"],
            "content": {
                "id": "0123456789abcdef0123456789abcdef",
                "language": "en",
                "context": 4,
                "cattax": 7,
                "cat": ["596", "602", "1012"],
                "data": [
                    {
                        "name": "verdictstream",
                        "segment": [
                            {"id": "F", "name": "programming_and_data_analysis"},
                            {"id": "decision:allow"},
                            {"id": "risk:low"},
                        ],
                        "ext": {"segtax": 600},
                    }
                ],
                "ext": {
                    "verdictstream": {
                        "decision": "allow",
                        "risk": "low",
                        "policy": "acme@7",
                        "taxonomy": "chat-13@1",
                        "model": "ad-safety@1.10.2",
                        "event_time": "2023-11-14T22:13:20.123Z",
                        "verdict_id": "0f" * 16,
                    }
                },
            },
        }
    }


def test_prebid_has_segments_and_free_keys() -> None:
    """Bidders read `site.content.data`, some read `site.ext.data`."""
    shown = document(SIGNAL, Form.PREBID, ExchangeOptions(cattax=9, segtax=600, provider="chat.example"))
    assert shown is not None
    site = shown["ortb2"]["site"]
    assert site["content"]["data"][0]["name"] == "chat.example"
    assert site["content"]["data"][0]["ext"] == {"segtax": 600}
    assert site["ext"] == {"data": {"vs_decision": "allow", "vs_risk": "low", "vs_category": "F"}}
    assert (site["cattax"], site["pagecat"]) == (9, ["596", "602"])


def test_a_blocked_chat_has_no_bid_request_and_one_key_value() -> None:
    """The floor of all forms: nothing is sold beside it, and nothing is told of it."""
    blocked = Signal(SignalDecision.BLOCK, id="x")
    assert document(blocked, Form.OPENRTB, OPTIONS) is None
    assert document(blocked, Form.PREBID, OPTIONS) is None
    assert document(blocked, Form.KEY_VALUES, OPTIONS) == {"vs_decision": "block"}


def test_an_unknown_chat_says_so_and_nothing_else() -> None:
    """With its taxonomy numbers all the same: without them ids are read as another list."""
    unknown = Signal(SignalDecision.UNKNOWN)
    shown = document(unknown, Form.OPENRTB, OPTIONS)
    assert shown is not None
    assert shown["site"]["cattax"] == shown["site"]["content"]["cattax"] == 7
    assert "cat" not in shown["site"]
    assert "id" not in shown["site"]["content"]
    assert shown["site"]["content"]["ext"] == {"verdictstream": {"decision": "unknown", "risk": "unknown"}}
    assert document(unknown, Form.KEY_VALUES, OPTIONS) == {"vs_decision": "unknown"}


def test_special_category_data_is_marked_in_openrtb_and_named_nowhere_else() -> None:
    """A browser and an ad server add user ids by themselves; what a person feels must not stand beside one."""
    sensitive = changed(category="J", category_name="relationships_and_personal_reflection", iab=("186",))
    shown = document(sensitive, Form.OPENRTB, OPTIONS)
    assert shown is not None
    assert shown["site"]["content"]["ext"]["verdictstream"]["sensitive"] is True
    assert document(sensitive, Form.KEY_VALUES, OPTIONS) == {"vs_decision": "allow", "vs_risk": "low"}
    said = orjson.dumps(document(sensitive, Form.PREBID, OPTIONS)).decode()
    assert not any(word in said for word in ('"186"', '"J"', "relationships"))


@pytest.mark.parametrize("form", list(Form))
def test_nothing_is_ever_said_of_a_user(form: Form) -> None:
    """What a conversation is about is not a trait of a person."""
    said = orjson.dumps(document(SIGNAL, form, OPTIONS)).decode()
    assert '"user"' not in said
    assert '"eids"' not in said


def test_without_a_number_no_segment_is_sent() -> None:
    """Another vendor's number would be squatting, and segments without one are read by nobody."""
    for form in (Form.OPENRTB, Form.PREBID):
        assert b'"segtax"' not in orjson.dumps(document(SIGNAL, form, ExchangeOptions()))
        assert b'"segment"' not in orjson.dumps(document(SIGNAL, form, ExchangeOptions()))


def test_reasons_languages_and_ids_of_3_1_stand_where_the_specification_wants_them() -> None:
    """`language` has two letters; id 700 is of Content Taxonomy 3.1 alone."""
    signal = changed(language="deu", unevaluated=("image",), iab=("680", "700"))
    shown = document(signal, Form.OPENRTB, OPTIONS)
    assert shown is not None
    content = shown["site"]["content"]
    assert (content["langb"], "language" in content) == ("deu", False)
    assert content["ext"]["verdictstream"]["unevaluated"] == ["image"]
    assert content["cat"] == ["680", "1012"]
    newer = document(signal, Form.OPENRTB, ExchangeOptions(cattax=9))
    assert newer is not None
    assert newer["site"]["pagecat"] == ["680", "700"]


def test_key_values_stay_within_an_ad_servers_limits() -> None:
    """Keys of at most 20 characters, values of at most 40, for every signal."""
    options = ExchangeOptions(key_prefix="advertiser_7")
    for decision in SignalDecision:
        for risk in RiskBand:
            for code in ("F", "c" * 40, "c" * 41, None):
                shown = document(changed(decision=decision, risk=risk, category=code), Form.KEY_VALUES, options)
                assert shown is not None
                assert all(len(key) <= 20 and 0 < len(value) <= 40 for key, value in shown.items())
                assert "advertiser_7decision" in shown


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"cattax": 1}, r"cattax is 1; expected 7 \(Content Taxonomy 3\.0\) or 9"),
        ({"segtax": 499}, r"segtax is 499; expected a number from 500 on, registered"),
        ({"key_prefix": "Vs_"}, "key prefix is 'Vs_'; expected a letter, then letters, digits and _"),
        ({"key_prefix": "7_"}, "key prefix is '7_'"),
        ({"key_prefix": ""}, "key prefix is ''"),
        ({"key_prefix": "a" * 13}, "at most 12: an ad server's keys have 20 characters"),
    ],
)
def test_what_a_reader_would_refuse_or_misread_is_refused(fields: dict[str, Any], error: str) -> None:
    """At once, and not by an exchange that drops the member in silence."""
    with pytest.raises(ValueError, match=error):
        ExchangeOptions(**fields)
