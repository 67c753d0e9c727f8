"""What a bundle says of its probes."""

from pathlib import Path

from training_pipeline.bundle.export import ExportRequest, export_bundle


def test_a_bundle_states_its_probes_in_manifest_and_card(
    small_folder: Path, tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Who takes a bundle into service reads there what it lets through."""
    request = ExportRequest(
        tiny_run, [labelled_files[0]], tmp_path / "bundle", "tiny", "0.1", probes=small_folder, encoder=tiny_encoder
    )
    metrics = export_bundle(request)
    assert {gap["where"] for gap in metrics["probes"]["gaps"]} == {"template", "inserted"}
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")
    assert "## Probes" in card
    assert "| position | M |" in card
    assert "Social bias of the encoder and of the sources is not measured" not in card
