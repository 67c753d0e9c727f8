"""ONNX Runtime under a thread count and a time-out."""
