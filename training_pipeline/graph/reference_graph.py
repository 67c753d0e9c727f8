"""The model that serving is compared with: DistilBERT-base in ONNX Runtime's dynamic INT8, with random weights.

Speed does not depend on the weights, and none have to be fetched. The graph has ONNX Runtime's fused operators, as its
transformer optimiser would put them in, and is then quantised by `quantize_dynamic` with its defaults.
`python -m loadtest compare` runs this module, in an environment that has onnx and no torch.

    python -m training_pipeline.graph.reference_graph FILE
"""

import argparse
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from training_pipeline.graph.onnx_graph import EncoderShape, FloatMatrix, FloatProducts, build_graph

N_TOKENS: Final = 512
_N_LABELS: Final = 13
_VOCABULARY: Final = 30_522
_HIDDEN: Final = 768
_FFN: Final = 3_072
_SHAPE: Final = EncoderShape(n_layers=6, n_heads=12, layer_norm_epsilon=1e-12, pooling="cls")
_WEIGHT_STD: Final = 0.02
"""As BERT is initialised: activations keep the size that they have in a trained network."""


def random_distilbert() -> dict[str, FloatMatrix]:
    """Return weights of DistilBERT-base with a linear classifier on its first token; always the same."""
    rng = np.random.default_rng(0)
    embeddings, layer = "encoder.embeddings", "encoder.transformer.layer"
    shapes: dict[str, tuple[int, ...]] = {
        f"{embeddings}.word_embeddings.weight": (_VOCABULARY, _HIDDEN),
        f"{embeddings}.position_embeddings.weight": (N_TOKENS, _HIDDEN),
        "head.weight": (_N_LABELS, _HIDDEN),
        "head.bias": (_N_LABELS,),
    }
    linear = {f"attention.{part}_lin": (_HIDDEN, _HIDDEN) for part in "qkv"} | {"attention.out_lin": (_HIDDEN, _HIDDEN)}
    linear |= {"ffn.lin1": (_FFN, _HIDDEN), "ffn.lin2": (_HIDDEN, _FFN)}
    for number in range(_SHAPE.n_layers):
        for name, shape in linear.items():
            shapes |= {f"{layer}.{number}.{name}.weight": shape, f"{layer}.{number}.{name}.bias": shape[:1]}
    weights = {name: (_WEIGHT_STD * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    norms = [f"{layer}.{i}.{name}" for i in range(_SHAPE.n_layers) for name in ("sa_layer_norm", "output_layer_norm")]
    for norm in [f"{embeddings}.LayerNorm", *norms]:
        weights[f"{norm}.weight"] = np.ones(_HIDDEN, dtype=np.float32)
        weights[f"{norm}.bias"] = np.zeros(_HIDDEN, dtype=np.float32)
    return weights


def write_reference(path: Path) -> None:
    """Write the quantised model: input_ids and attention_mask, int64 [rows, tokens], to logits, float32 [rows, 13]."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "float.onnx"
        onnx.save_model(build_graph(random_distilbert(), _SHAPE, FloatProducts()), str(whole))
        # The fused operators have no shape inference in onnx, so the type is said instead of found.
        quantize_dynamic(
            whole,
            path,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m training_pipeline.graph.reference_graph", description=write_reference.__doc__
    )
    parser.add_argument("path", type=Path, help="The file to write.")
    write_reference(parser.parse_args().path)
