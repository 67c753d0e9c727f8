"""Energy and CO2 of training, measured by the real meter and without the network."""

import socket
from pathlib import Path
from typing import Any, Never

import orjson
import pytest
from typer.testing import CliRunner

from training_pipeline.command_line import app
from training_pipeline.train.emissions import EMISSIONS_NAME, measured_emissions, read_emissions


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection: what a company trains is nobody's business."""

    def refuse(*_: object) -> Never:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_run_says_what_it_took_and_one_that_goes_on_adds_to_it(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The command's JSON line and the run's folder hold the same figures."""
    training, dev = labelled_files
    run = tmp_path / "run"
    fixed = ["--data", str(training), "--dev", str(dev), "--out", str(run), "--encoder", str(tiny_encoder), "--cpu"]
    arguments = ["train", *fixed, "--epochs", "1", "--threads", "1"]
    result = CliRunner().invoke(app, [*arguments, "--emissions", "DEU"])
    assert result.exit_code == 0, result.output
    (session,) = read_emissions(run)
    assert session.energy_kwh > 0
    assert session.duration_s > 0
    assert session.tool.startswith("codecarbon 3")
    # Germany's mix: between that of hydropower and that of coal.
    assert 0.1 < session.emissions_kg_co2eq / session.energy_kwh < 0.9
    found = reported(result.stdout)
    assert found["energy_kwh"] == session.energy_kwh
    assert (found["n_sessions"], found["country"]) == (1, ["DEU"])
    again = CliRunner().invoke(app, [*arguments, "--emissions", "FRA"])
    assert again.exit_code == 0, again.output
    found = reported(again.stdout)
    assert (found["n_sessions"], found["country"]) == (2, ["DEU", "FRA"])
    assert found["energy_kwh"] > session.energy_kwh


def reported(stdout: str) -> dict[str, Any]:
    """Return what a command's JSON line says of emissions."""
    found: dict[str, Any] = orjson.loads(stdout.splitlines()[-1])["emissions"]
    return found


def test_a_run_that_breaks_off_is_counted_too(tmp_path: Path) -> None:
    """The energy is spent all the same."""
    with pytest.raises(KeyboardInterrupt), measured_emissions(tmp_path / "run", "USA"):
        raise KeyboardInterrupt
    assert len(read_emissions(tmp_path / "run")) == 1


@pytest.mark.parametrize("country", ["Germany", "de", "XXX"])
def test_an_unknown_country_is_refused_before_training(tmp_path: Path, country: str) -> None:
    """Another country's power would be a made-up figure."""
    refused = pytest.raises(ValueError, match=rf"--emissions {country}: no power mix.*such as DEU")
    with refused, measured_emissions(tmp_path / "run", country):
        pass
    assert not (tmp_path / "run" / EMISSIONS_NAME).exists()
