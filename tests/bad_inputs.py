"""Hostile and broken input records, each with how it must end."""

from typing import Any, Final, NamedTuple

import orjson


class BadInput(NamedTuple):
    """One input record and the reason code of its dead letter; None where it must get a verdict."""

    name: str
    value: bytes | None
    reason: str | None


def chat(content: str = "which phone should i buy", **fields: Any) -> dict[str, Any]:
    """Return a chat event of one user message, with `fields` laid over it."""
    return {"chat_id": "bad-chat", "messages": [{"role": "user", "content": content}], **fields}


_GOOD: Final = orjson.dumps(chat())
_FAR_FUTURE: Final = "9999-12-31T23:59:59Z"


def _with(raw_field: bytes) -> bytes:
    return _GOOD.removesuffix(b"}") + b"," + raw_field + b"}"


def bad_inputs() -> list[BadInput]:
    """Return the list of the issue, and a few more of its kind."""
    return [
        BadInput("invalid UTF-8", _GOOD.replace(b"phone", b"ph\xffne"), "decode_error"),
        BadInput("truncated JSON", _GOOD[:-5], "decode_error"),
        BadInput("no bytes", b"", "decode_error"),
        BadInput("BOM", b"\xef\xbb\xbf" + _GOOD, "decode_error"),
        BadInput("null value", None, "decode_error"),
        BadInput("100,000 nested brackets", b"[" * 100_000, "decode_error"),
        BadInput("nested brackets in a field", _with(b'"context":' + b"[" * 100_000), "decode_error"),
        BadInput("NaN", _with(b'"occurred_at":NaN'), "decode_error"),
        BadInput("5,000-digit integer", _with(b'"event_id":' + b"9" * 5_000), "decode_error"),
        BadInput("duplicate keys", _with(b'"chat_id":"other"'), "decode_error"),
        BadInput("lone surrogate", _GOOD.replace(b"phone", b"\\ud800"), "decode_error"),
        BadInput("not an object", b"[1, 2]", "decode_error"),
        BadInput("1 MB single word", orjson.dumps(chat("x" * 1_000_000)), None),
        BadInput("1 MB of combining marks", orjson.dumps(chat("x" + "\u0301\u0316" * 250_000)), None),
        BadInput("zero-width only", orjson.dumps(chat("\u200b\u200d\ufeff" * 10_000)), "empty_conversation"),
        BadInput("empty conversation", orjson.dumps(chat(messages=[])), "empty_conversation"),
        BadInput("unknown role", _GOOD.replace(b'"user"', b'"narrator"'), "schema_error"),
        BadInput("missing chat_id", orjson.dumps({"messages": chat()["messages"]}), "schema_error"),
        BadInput("chat_id of 10 kB", orjson.dumps(chat(chat_id="c" * 10_000)), "schema_error"),
        BadInput("unknown schema_version", orjson.dumps(chat(schema_version=2)), "schema_error"),
        BadInput("10 MB message", orjson.dumps(chat("word " * 2_000_000)), "too_large"),
        BadInput("10,000 messages", orjson.dumps(chat(messages=chat("hello there")["messages"] * 10_000)), None),
        BadInput(
            "clock far in the future",
            orjson.dumps(
                chat(
                    messages=[{"id": "m", "createdAt": _FAR_FUTURE, "role": "user", "content": "hello"}],
                    occurred_at=_FAR_FUTURE,
                )
            ),
            None,
        ),
    ]
