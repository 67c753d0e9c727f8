"""Topics that must keep the last record of each key are checked before anything relies on it."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from worker.erase.source import check_list_is_kept
from worker.errors import Fatal
from worker.kafka.control_topic import check_is_compacted
from worker.settings.kafka import KafkaSettings


class _Admin:
    """Answers for every topic alike.

    Args:
        answer: cleanup.policy, or why it is not said.
    """

    def __init__(self, answer: str | KafkaException) -> None:
        self._answer = answer

    def describe_configs(self, resources: list[Any], **_: object) -> dict[Any, "Future[Any]"]:
        """Return what is set."""
        future: Future[Any] = Future()
        if isinstance(self._answer, KafkaException):
            future.set_exception(self._answer)
        else:
            future.set_result({"cleanup.policy": SimpleNamespace(value=self._answer)})
        return dict.fromkeys(resources, future)


def _check(answer: str | KafkaException) -> None:
    check_is_compacted(_Admin(answer), "t", timeout_s=1, lost="all is lost")  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_topic_that_forgets_is_refused_with_a_command_for_a_topic_that_is_there(policy: str) -> None:
    """It cannot be created again without losing what it holds."""
    with pytest.raises(
        Fatal, match=rf"{policy}; expected compact, or all is lost; set it with `kafka-configs\.sh .* t "
    ):
        _check(policy)
    _check("compact")


def test_who_may_not_ask_is_told_what_to_grant_or_to_look_at() -> None:
    """A warning that names no remedy would be looked up each time."""
    with structlog.testing.capture_logs() as lines:
        _check(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    (line,) = lines
    assert line["event"] == "control_topic_unchecked"
    assert "grant DescribeConfigs" in line["remedy"]
    assert "all is lost" in line["remedy"]


def test_a_list_of_erased_chats_that_forgets_them_is_refused() -> None:
    """Past its retention training would learn on from what is kept of them elsewhere."""
    off = KafkaSettings(bootstrap_servers="kafka:9092")
    check_list_is_kept(off, _Admin("delete"))  # type: ignore[arg-type]
    listed = off.model_copy(update={"erasures_topic": "verdict-erasures"})
    with pytest.raises(Fatal, match=r"verdict-erasures: cleanup.policy is delete; .* come back into training"):
        check_list_is_kept(listed, _Admin("delete"))  # type: ignore[arg-type]
