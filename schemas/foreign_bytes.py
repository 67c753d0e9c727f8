"""Values that are no JSON object: told by their beginning, so that an error can say what to do.

Invariant: a remedy quotes nothing of the record.
"""

import base64
import re
from typing import Final

from schemas.confluent_frame import FRAME_BYTES, schema_id

_SEND_JSON: Final = "send the event as JSON"
_COMPRESS: Final = "let the producer compress (compression.type), which consumers undo, and send the event as JSON"
_UTF_8: Final = "write it in UTF-8 without a byte-order mark"

_BEGINNINGS: Final = (
    (b"\x1f\x8b", "gzip", _COMPRESS),
    (b"\x28\xb5\x2f\xfd", "zstd", _COMPRESS),
    (b"\x04\x22\x4d\x18", "lz4", _COMPRESS),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy", _COMPRESS),
    (b"\x78\x01", "zlib", _COMPRESS),
    (b"\x78\x9c", "zlib", _COMPRESS),
    (b"\x78\xda", "zlib", _COMPRESS),
    (b"PK\x03\x04", "a ZIP file", _SEND_JSON),
    (b"\xef\xbb\xbf", "UTF-8 with a byte-order mark", _UTF_8),
    (b"\xff\xfe\x00\x00", "UTF-32", _UTF_8),
    (b"\x00\x00\xfe\xff", "UTF-32", _UTF_8),
    (b"\xff\xfe", "UTF-16", _UTF_8),
    (b"\xfe\xff", "UTF-16", _UTF_8),
    (b"{\x00\x00\x00", "UTF-32", _UTF_8),
    (b"{\x00", "UTF-16", _UTF_8),
    (b"\x00{\x00", "UTF-16", _UTF_8),
    (b"\x00\x00\x00{", "UTF-32", _UTF_8),
    (b"Obj\x01", "an Avro file", _SEND_JSON),
    (b"\xac\xed\x00\x05", "a serialised Java object", _SEND_JSON),
    (b"\x80\x04\x95", "a Python pickle", _SEND_JSON),
    (b"\x80\x05\x95", "a Python pickle", _SEND_JSON),
    (b"<", "XML", _SEND_JSON),
    (b"{'", "Python's repr of a dict", "write it with json.dumps"),
)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}\s*")
_LOOKED_AT_BYTES: Final = 64


def remedy_for_bytes(raw: bytes) -> str:
    """Return what bytes that are no JSON look like and what to do, as the end of an error; empty for others."""
    # A frame with `{` in its id is far rarer than UTF-16, whose first character is two bytes.
    named = _named(raw)
    if named is not None:
        return f"; this looks like {named[0]}: {named[1]}"
    framed = schema_id(raw)
    if framed is not None:
        if raw[FRAME_BYTES : FRAME_BYTES + 1] == b"{":
            what = "set MODERATION_KAFKA__VALUE_FORMAT=confluent_json"
        else:
            what = f"what it frames is no JSON, but Avro or Protobuf: {_SEND_JSON}, framed or not"
        return f"; this looks like a Confluent frame with schema id {framed}: {what}"
    if _is_base64(raw[:_LOOKED_AT_BYTES]):
        return f"; this looks like base64: {_SEND_JSON}, not encoded"
    return ""


def remedy_for_value(value: object) -> str:
    """Return the same for a JSON value that is no object."""
    if isinstance(value, list):
        return "; send each event as a record of its own"
    if not isinstance(value, str):
        return ""
    if value.lstrip()[:1] in {"{", "["}:
        return "; this text is JSON itself: the event was encoded twice; send the object"
    return remedy_for_bytes(value[:_LOOKED_AT_BYTES].encode())


def _named(raw: bytes) -> tuple[str, str] | None:
    return next((found[1:] for found in _BEGINNINGS if raw.startswith(found[0])), None)


def _is_base64(raw: bytes) -> bool:
    """Say whether a beginning decodes to the beginning of JSON, or of something that is named here."""
    if not _BASE64.fullmatch(raw):
        return False
    whole = raw.rstrip()[: len(raw) // 4 * 4]
    decoded = base64.b64decode(whole.replace(b"-", b"+").replace(b"_", b"/") + b"==")
    return decoded[:1] == b"{" or _named(decoded) is not None
