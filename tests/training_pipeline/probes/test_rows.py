"""The rows that training takes from the probes."""

from pathlib import Path

from typer.testing import CliRunner

from model.windowing import Windowing
from schemas import CHAT_13
from training_pipeline.augment.identities import IDENTITIES, NEUTRAL
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.command_line import app
from training_pipeline.probes.probe import ProbeSet

DATA = Path(__file__).parents[3] / "data"


def test_what_trains_and_what_measures_share_no_text_template_or_word(probes: ProbeSet, tmp_path: Path) -> None:
    """A figure on what was learned by heart says nothing."""
    out = tmp_path / "rows.jsonl"
    assert CliRunner().invoke(app, ["probe-rows", "--probes", str(DATA / "probes"), "--out", str(out)]).exit_code == 0
    rows = read_labelled_chats([out], Windowing(), frozenset())
    assert not rows.rejected
    assert {CHAT_13.codes[label] for label in rows.labels} == set(CHAT_13.codes)
    measured = probes.of("measure")
    trained = {turns[-1].text for turns in rows.conversations}
    assert not trained & {probe.messages[-1].content for probe in measured.probes}
    people = zip(rows.chat_ids, rows.conversations, strict=True)
    texts = " ".join(turns[-1].text for name, turns in people if name.startswith("probe-identity"))
    assert not [one.words for one in measured.words if f"{one.words} " in f"{texts} "]
    augmented = {word.casefold() for word in (*IDENTITIES, *NEUTRAL)}
    assert not [one.words for one in measured.words if one.words.split(maxsplit=1)[1].casefold() in augmented]
