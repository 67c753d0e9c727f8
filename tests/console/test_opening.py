"""What follows the pipeline is opened with the settings of both, and ends in order."""

from pathlib import Path

import pytest

from console.errors import SettingsError
from console.intake.state import Doing
from console.metrics import Metrics
from console.operations import open_operations
from console.settings.console import ConsoleSettings
from console.settings.operations import PipelineSettings, StoreSettings
from testkit.waiting import wait_until
from tests.console.operations import NOBODY

WORKER = {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": NOBODY, "MODERATION_KAFKA__REQUEST_TIMEOUT_S": "0.2"}


def settings(url: str, *, is_on: bool = True) -> ConsoleSettings:
    """Return settings of a console with a database."""
    return ConsoleSettings(pipeline=PipelineSettings(is_on=is_on), store=StoreSettings.model_validate({"url": url}))


def test_a_console_that_follows_a_pipeline_reads_its_topics(tmp_path: Path) -> None:
    """From the start on, until its end."""
    operations = open_operations(settings(f"sqlite:///{tmp_path / 'c.sqlite3'}"), WORKER, Metrics())
    assert operations is not None
    assert operations.intake is not None
    intake = operations.intake
    operations.start()
    wait_until(lambda: intake.state.doing is Doing.KAFKA_AWAY, timeout_s=60)
    states = operations.states
    assert states is not None
    states.look("intake")
    assert states.now()["intake"].is_there is False
    assert states.now()["intake"].error
    operations.close()
    assert intake.state.doing.value == "ended"


def test_without_a_pipeline_there_is_neither_database_nor_thread(tmp_path: Path) -> None:
    """Nothing is opened."""
    assert open_operations(settings(f"sqlite:///{tmp_path / 'c.sqlite3'}", is_on=False), {}, Metrics()) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+psycopg://console@127.0.0.1:1/console", "the database does not answer"),
        ("sqlite:////nowhere/at/all.sqlite3", "the database does not answer"),
        ("nonsense", "store.url is not understood"),
    ],
)
def test_a_database_that_cannot_be_opened_ends_the_start(url: str, told: str) -> None:
    """With what is to be checked, and without the password that an address may hold."""
    with pytest.raises(SettingsError, match=told):
        open_operations(settings(url), WORKER, Metrics())
