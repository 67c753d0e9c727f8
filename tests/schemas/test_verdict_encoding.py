"""The fast encoder against pydantic's, which defines what a verdict looks like on the wire."""

import pytest
from pydantic import TypeAdapter

from schemas import Verdict, encode_verdict
from tests.schemas.payloads import make_verdict


@pytest.mark.parametrize("event_id", [None, 0, -7, 2**63, 10**30, "", 'é\u2028\U0001f600\\"', "a" * 256])
def test_the_encoder_writes_byte_for_byte_what_the_model_defines(event_id: str | int | None) -> None:
    """Integers beyond 64 bits reach us from upstream; an encoder that raised on one would stop its partition."""
    verdict = make_verdict().model_copy(update={"event_id": event_id, "cache_hit": True, "replay_id": "r"})
    assert encode_verdict(verdict) == TypeAdapter(Verdict).dump_json(verdict)
