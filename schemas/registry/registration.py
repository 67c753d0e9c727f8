"""Which contract belongs into which subject, and what registering all of them would do.

Invariants: nothing is written before all fit; registering twice changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from schemas.compatibility import Direction
from schemas.contracts import CONTRACTS, Contract, render
from schemas.registry.client import Registered, Registry, RegistryError

TOPIC_SUBJECTS: Final = {
    "chat-event": "chat-events-value",
    "verdict": "verdicts-value",
    "verdict-change": "verdict-changes-value",
    "dead-letter-headers": "verdictstream.dead-letter-headers",
    "rejection-marker": "verdictstream.rejection-marker",
    "policy": "verdictstream.policy",
}
"""Subjects by contract; of a topic's values it is `TOPIC-value`, where Confluent's serialisers look for it."""

LEVELS: Final = {Direction.OUTPUT: "FORWARD", Direction.INPUT: "BACKWARD"}
"""Who reads what we write must be able to go on with the older schema; what others wrote must stay readable for us."""


class State(StrEnum):
    """What becomes of a contract."""

    REGISTERED = "registered"
    """It is there, and was before."""
    NEW = "new"
    """It will be, or was now, the next version."""
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True)
class Step:
    """One contract and its subject."""

    contract: Contract
    subject: str
    state: State
    registered: Registered | None = None
    problems: tuple[str, ...] = ()

    @property
    def schema(self) -> str:
        """The schema as it is registered: the file's text."""
        return render(self.contract.json_schema())


def subject_of(contract: Contract, chosen: Mapping[str, str] | None = None) -> str:
    """Return the subject of a contract.

    A version that is no longer written has one of its own, since the newer is no successor by a registry's rules.

    Args:
        contract: The contract.
        chosen: Subjects by the contract's name, where they are others.
    """
    if contract.is_legacy:
        return f"verdictstream.{contract.name}.v{contract.major}"
    subjects = TOPIC_SUBJECTS | dict(chosen or {})
    return subjects.get(contract.name, f"verdictstream.{contract.name}")


def plan(
    registry: Registry, chosen: Mapping[str, str] | None = None, contracts: Iterable[Contract] = CONTRACTS
) -> list[Step]:
    """Return what registering would do; only reads.

    Raises:
        RegistryError: the registry cannot be asked.
    """
    return [_step(registry, contract, subject_of(contract, chosen)) for contract in contracts]


def _step(registry: Registry, contract: Contract, subject: str) -> Step:
    step = Step(contract, subject, State.NEW)
    if found := registry.find(subject, step.schema):
        return replace(step, state=State.REGISTERED, registered=found)
    if problems := registry.incompatibilities(subject, step.schema):
        return replace(step, state=State.INCOMPATIBLE, problems=tuple(problems))
    return step


def apply(registry: Registry, steps: Iterable[Step]) -> list[Step]:
    """Register what is new.

    Raises:
        RegistryError: a schema is incompatible, and nothing was written; or the registry refuses.
    """
    planned = list(steps)
    if wrong := [step for step in planned if step.state is State.INCOMPATIBLE]:
        raise RegistryError(
            f"{', '.join(step.subject for step in wrong)}: incompatible with what is registered; nothing was written; "
            "see the reasons, and the subject's compatibility level"
        )
    return [
        replace(step, registered=registry.register(step.subject, step.schema)) if step.state is State.NEW else step
        for step in planned
    ]


def set_levels(registry: Registry, steps: Iterable[Step]) -> None:
    """Set each subject's compatibility level to that of its direction, where it is another."""
    for step in steps:
        level = LEVELS[step.contract.direction]
        if registry.level(step.subject) != level:
            registry.set_level(step.subject, level)
