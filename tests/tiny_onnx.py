"""A classifier's ONNX graph that sums a row of numbers for each token, written without the package onnx.

The field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FLOAT, _INT64 = 1, 7
_VARINT, _BYTES = 0, 2
_INT_ATTRIBUTE: Final = 2


def summing_model(table: NDArray[np.float32]) -> bytes:
    """Return a model whose logits are the sum of its tokens' rows.

    Args:
        table: float32 [n_token_ids, n_categories].
    """
    nodes = [
        _node("Gather", ["table", "input_ids"], "rows"),
        _node("Cast", ["attention_mask"], "mask", to=_FLOAT),
        _node("Unsqueeze", ["mask", "last_axis"], "column"),
        _node("Mul", ["rows", "column"], "kept"),
        _node("ReduceSum", ["kept", "token_axis"], "logits", keepdims=0),
    ]
    constants = [
        _tensor("table", table.astype(np.float32), _FLOAT),
        _tensor("last_axis", np.array([2], np.int64), _INT64),
        _tensor("token_axis", np.array([1], np.int64), _INT64),
    ]
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"sums"),
            *(_field(5, constant) for constant in constants),
            *(_field(11, _value(name, _INT64, ["n_rows", "n_tokens"])) for name in ("input_ids", "attention_mask")),
            _field(12, _value("logits", _FLOAT, ["n_rows", table.shape[1]])),
        ]
    )
    opset = _field(2, 17)
    return _field(1, 9) + _field(7, graph) + _field(8, opset)


def _node(kind: str, inputs: list[str], output: str, **attributes: int) -> bytes:
    written = [
        _field(1, name.encode()) + _field(3, value) + _field(20, _INT_ATTRIBUTE) for name, value in attributes.items()
    ]
    return b"".join(
        [
            *(_field(1, name.encode()) for name in inputs),
            _field(2, output.encode()),
            _field(4, kind.encode()),
            *(_field(5, attribute) for attribute in written),
        ]
    )


def _tensor(name: str, values: NDArray[np.generic], kind: int) -> bytes:
    shape = b"".join(_field(1, size) for size in values.shape)
    return shape + _field(2, kind) + _field(8, name.encode()) + _field(9, values.tobytes())


def _value(name: str, kind: int, shape: list[str | int]) -> bytes:
    sizes = [_field(1, size) if isinstance(size, int) else _field(2, size.encode()) for size in shape]
    tensor = _field(1, kind) + _field(2, b"".join(_field(1, size) for size in sizes))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return struct.pack(f"{len(parts) + 1}B", *parts, value)
