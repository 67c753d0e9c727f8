"""A classifier's graph in which one word makes an inference last: in a loop, or inside one operator. Needs onnx."""

import numpy as np
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper
from tokenizers import Tokenizer

from model import Bundle
from schemas import CHAT_13

_TRIPS = 1 << 50
"""Of the loop: years."""
_BOXES = 300_000
"""Of an operator that compares each with all others before it: minutes, and it looks at no flag meanwhile."""


LOOPING_WORD, STUCK_WORD = "zebra", "volcano"


def endless_model(bundle: Bundle, *, looping_word: str = LOOPING_WORD, stuck_word: str = STUCK_WORD) -> bytes:
    """Return an ONNX model that takes every text for category A.

    Args:
        bundle: Whose tokenizer it understands.
        looping_word: Where it stands, the model loops over an operator; its terminate flag ends that.
        stuck_word: Where it stands, one operator takes minutes; no flag ends that.

    Raises:
        ValueError: a word is not one token.
    """
    looping_id, stuck_id = (_token_id(bundle, word) for word in (looping_word, stuck_word))
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["condition"], ["goes_on"]),
            helper.make_node("Add", ["carried", "step"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, []),
        ],
    )
    nodes = [
        *_times("loop", "looping_id", "trips_at_most", "trips"),
        helper.make_node("Loop", ["trips", "always", "zero"], ["looped"], body=body),
        *_times("compare", "stuck_id", "boxes_at_most", "n_boxes"),
        helper.make_node("Reshape", ["n_boxes", "one"], ["n_boxes_1d"]),
        helper.make_node("Concat", ["one", "n_boxes_1d", "four"], ["boxes_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["boxes_shape"], ["boxes"]),
        helper.make_node("Concat", ["one", "one", "n_boxes_1d"], ["scores_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["scores_shape"], ["scores"]),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "n_boxes_1d"], ["selected"]),
        helper.make_node("Shape", ["selected"], ["n_selected"], start=0, end=1),
        helper.make_node("Cast", ["n_selected"], ["compared"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["looped", "compared"], ["lasted"]),
        helper.make_node("Mul", ["lasted", "zero"], ["nothing"]),
        helper.make_node("Shape", ["input_ids"], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "one"], ["tiling"], axis=0),
        helper.make_node("Add", ["row_logits", "nothing"], ["row"]),
        helper.make_node("Tile", ["row", "tiling"], ["logits"]),
    ]
    constants: dict[str, np.ndarray] = {
        "looping_id": np.array(looping_id, np.int64),
        "stuck_id": np.array(stuck_id, np.int64),
        "trips_at_most": np.array(_TRIPS, np.int64),
        "boxes_at_most": np.array(_BOXES, np.int64),
        "always": np.ones((), np.bool_),
        "zero": np.array(0, np.float32),
        "step": np.array(1, np.float32),
        "one": np.array([1], np.int64),
        "four": np.array([4], np.int64),
        "row_logits": np.array([[4.0] + [0.0] * (len(CHAT_13.codes) - 1)], np.float32),
    }
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", len(CHAT_13.codes)])]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "endless", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _token_id(bundle: Bundle, word: str) -> int:
    found = Tokenizer.from_str(bundle.tokenizer_json).token_to_id(word)
    if found is None:
        raise ValueError(f"{word!r} is not a token")
    return int(found)


def _times(name: str, token_id: str, at_most: str, result: str) -> list[NodeProto]:
    """Return nodes that compute `at_most` where the token is among the inputs, else 0."""
    return [
        helper.make_node("Equal", ["input_ids", token_id], [f"{name}_found"]),
        helper.make_node("Cast", [f"{name}_found"], [f"{name}_hits"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", [f"{name}_hits"], [f"{name}_any"], keepdims=0),
        helper.make_node("Mul", [f"{name}_any", at_most], [result]),
    ]
