"""Policies that hold what they blocked need a topic to remember it in."""

from collections.abc import Iterable

from model import PolicyError
from schemas import Policy
from worker.settings.kafka import KafkaSettings


def require_state_topic(policies: Iterable[Policy], settings: KafkaSettings) -> None:
    """Refuse policies that hold where no state topic is set: their holds would end with each restart.

    Raises:
        PolicyError: there are such policies, and there is no such topic.
    """
    if settings.state_topic is not None:
        return
    if names := [policy.name for policy in policies if policy.hold_block_s > 0]:
        raise PolicyError(
            f"hold_block_s is set in policy {', '.join(names)}, and kafka.state_topic is not set; expected a compacted "
            "topic with as many partitions as the input topic, or no holds; create `verdict-state` "
            "(`python -m deploy.kafka topics`) and set MODERATION_KAFKA__STATE_TOPIC, or remove hold_block_s"
        )
