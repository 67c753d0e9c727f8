"""The columns that come out are the verdict's fields, under their names and in their order."""

from model.backfill.outcome_table import ONLY_LIVE, outcome_batch, outcome_schema
from schemas import Verdict


def test_every_field_of_a_verdict_is_a_column_or_is_of_live_traffic_alone() -> None:
    """Whoever adds a field to the verdict decides here what becomes of it."""
    columns = outcome_schema().names
    fields = list(Verdict.model_fields)
    assert set(fields) >= ONLY_LIVE
    assert columns[:4] == ["input_file", "input_row", "rejected", "error"]
    assert columns[4:] == [name for name in fields if name not in ONLY_LIVE]


def test_structs_have_the_fields_of_their_models_and_maps_keep_their_order() -> None:
    """Readers who know the verdict know the table."""
    schema = outcome_schema()
    for name in ("source", "taxonomy", "category", "policy", "model"):
        model = Verdict.model_fields[name].annotation
        assert model is not None
        assert [field.name for field in schema.field(name).type] == list(model.model_fields)  # type: ignore[attr-defined]
    batch = outcome_batch([{"input_file": "a", "input_row": 0, "evidence": {"Z": 0.5, "A": 0.5}}])
    assert batch.to_pylist(maps_as_pydicts="strict")[0]["evidence"] == {"Z": 0.5, "A": 0.5}
    assert [key for key, _ in batch.column("evidence")[0].as_py()] == ["Z", "A"]
