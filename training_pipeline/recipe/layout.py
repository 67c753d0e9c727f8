"""Where the stages of a recipe write."""

from pathlib import Path


class Layout:
    """Where the stages of a recipe write."""

    def __init__(self, work: Path) -> None:
        self.raw = work / "raw.jsonl"
        self.clean = work / "clean.jsonl"
        self.answers = work / "answers"
        self.labelled = work / "labelled.jsonl"
        self.splits = work / "splits"
        self.head_run = work / "head" / "run"
        self.head_bundle = work / "head" / "bundle"
        self.encoder = work / "encoder"
        self.run = work / "run"
        self.distilled = work / "distilled"
        self.checkpoints = work / "checkpoints.json"
        self.bundle = work / "bundle"
        self.evaluation = work / "evaluation.json"
        self.guarantee = work / "guarantee.json"
        self.llm_answers = work / "llm-answers"
        self.comparison = work / "comparison.json"
        self.comparison_page = work / "comparison.html"
        self.comparison_text = work / "comparison.txt"
