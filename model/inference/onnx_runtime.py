"""The one place where ONNX Runtime is imported, with its telemetry off.

From 1.31 on, ONNX Runtime on Linux writes a device id and an event database into the user's cache folder and can send
them over the network. Serving touches neither; the only complete way out is this variable, read when the library loads.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

RUN_ERRORS = (
    state.EngineError,
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.NotImplemented,
    state.RuntimeException,
)
"""What ONNX Runtime raises while it runs a batch; it has no common base class."""

LOAD_ERRORS = (*RUN_ERRORS, state.InvalidGraph, state.InvalidProtobuf, state.NoModel, RuntimeError, ValueError)
"""What it raises while it loads a model; a name in it that is no UTF-8 is a ValueError."""

__all__ = ["LOAD_ERRORS", "RUN_ERRORS", "ort"]
