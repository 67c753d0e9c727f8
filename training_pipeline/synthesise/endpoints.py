"""Who writes and who judges: the brief's own tables, or annotators of a file as `label` reads it."""

from pathlib import Path

from training_pipeline.data import show
from training_pipeline.data.annotator_config import read_annotators
from training_pipeline.data.errors import DataError
from training_pipeline.synthesise.brief import Brief, Judge, Writer


def chosen_endpoints(
    brief: Brief, annotators: Path | None, *, writer: str | None, judge: str | None
) -> tuple[Writer, Judge]:
    """Return writer and judge; without a judge of its own the writer's endpoint judges.

    Args:
        brief: May name both.
        annotators: File of annotators; counts in place of the brief.
        writer: Name in that file; None takes the first.
        judge: Name in that file; None takes the writer.

    Raises:
        DataError: there is nobody to write, or a name that the file has not.
    """
    if annotators is None:
        if writer or judge:
            raise DataError("--writer or --judge without --annotators; expected the file that has these names")
        if brief.writer is None:
            raise DataError(
                "nobody to write: the brief has no [writer], and --annotators is not given; expected one of the two; "
                "see data/briefs/community.toml for a [writer]"
            )
        return brief.writer, brief.judge or _as_judge(brief.writer)
    known = read_annotators(annotators)
    (who_writes,) = show.chosen_annotators(known, [writer or known[0].name])
    (who_judges,) = show.chosen_annotators(known, [judge or who_writes.name])
    return (
        Writer.model_validate(who_writes.model_dump(exclude_unset=True)),
        Judge.model_validate(who_judges.model_dump(exclude_unset=True)),
    )


def _as_judge(writer: Writer) -> Judge:
    """Return the writer's endpoint as an annotator: what is the writer's alone goes back to an annotator's defaults."""
    given = writer.model_dump(exclude_unset=True, exclude={"name", "temperature", "max_answer_tokens"})
    if writer.temperature is None:
        given["temperature"] = None  # a model that refuses one refuses it from a judge too
    return Judge.model_validate(given)
