from loadtest.run.measured_worker import worker_environment
from loadtest.services import Services
from testkit.topics import Topics

TOPICS = Topics("broker:1", "events", "verdicts", "dlq", "group", 3)


def test_the_callers_settings_reach_the_worker_and_addresses_and_topics_are_the_measurements() -> None:
    """An operator sizes with their own bundle and batch settings, never on their own topics by accident."""
    base = {"MODERATION_MODEL__PATH": "bundle", "MODERATION_KAFKA__INPUT_TOPIC": "production", "PATH": "x"}
    found = worker_environment(base, TOPICS, Services("broker:1", "redis://cache"), http_port=99)
    assert found["MODERATION_MODEL__PATH"] == "bundle"
    assert found["PATH"] == "x"
    assert found["MODERATION_KAFKA__INPUT_TOPIC"] == "events"
    assert found["MODERATION_KAFKA__VERDICT_TOPIC"] == "verdicts"
    assert found["MODERATION_KAFKA__DEAD_LETTER_TOPIC"] == "dlq"
    assert found["MODERATION_HTTP__PORT"] == "99"
    assert found["MODERATION_REDIS__URL"] == "redis://cache"


def test_without_a_redis_the_callers_own_is_not_used() -> None:
    """The timed run "cache off" would otherwise be answered from a cache that nobody sees."""
    found = worker_environment({"MODERATION_REDIS__URL": "redis://mine"}, TOPICS, Services("b", None), http_port=1)
    assert "MODERATION_REDIS__URL" not in found
