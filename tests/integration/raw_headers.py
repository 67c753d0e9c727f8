"""Send headers whose names are not UTF-8, through librdkafka itself: its Python client only takes text."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import confluent_kafka

_END, _TOPIC, _VALUE, _PARTITION, _FLAGS, _HEADERS = 0, 1, 4, 3, 7, 10
"""Tags of rd_kafka_producev, from rdkafka.h."""
_COPY: Final = 2
_PRODUCER: Final = 0


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.with_suffix(".libs")
    (path,) = folder.glob("librdkafka*")
    library = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def send_with_raw_headers(
    bootstrap_servers: str, topic: str, value: bytes, headers: Sequence[tuple[bytes, bytes]], *, partition: int = 0
) -> None:
    """Write one record with headers whose names are any bytes; return when the broker has it."""
    library, text = _library(), ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    servers = bootstrap_servers.encode()
    assert library.rd_kafka_conf_set(conf, b"bootstrap.servers", servers, text, ctypes.c_size_t(512)) == 0, text.value
    client = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, conf, text, ctypes.c_size_t(512)))
    assert client.value, text.value
    bundle = ctypes.c_void_p(library.rd_kafka_headers_new(ctypes.c_size_t(len(headers))))
    for name, content in headers:
        size = ctypes.c_ssize_t(len(content))
        assert library.rd_kafka_header_add(bundle, name, ctypes.c_ssize_t(len(name)), content, size) == 0
    arguments = (
        *(ctypes.c_int(_TOPIC), ctypes.c_char_p(topic.encode())),
        *(ctypes.c_int(_PARTITION), ctypes.c_int32(partition)),
        *(ctypes.c_int(_VALUE), ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(ctypes.c_int(_FLAGS), ctypes.c_int(_COPY)),
        *(ctypes.c_int(_HEADERS), bundle),
    )
    assert library.rd_kafka_producev(client, *arguments, ctypes.c_int(_END)) == 0
    assert library.rd_kafka_flush(client, ctypes.c_int(20_000)) == 0
    library.rd_kafka_destroy(client)
