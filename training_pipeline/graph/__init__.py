"""The ONNX graph, its INT8 form, and their parity with torch."""
