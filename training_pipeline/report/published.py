"""Figures that others published, shown beside ours under their own heading."""

from importlib.resources import files

from training_pipeline.report.document import Published


def published_figures() -> Published:
    """Return the published reference; measured on another test set."""
    return Published.model_validate_json(files("training_pipeline.report").joinpath("published.json").read_bytes())
