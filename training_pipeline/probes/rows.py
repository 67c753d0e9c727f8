"""Labelled chats out of the side `train` of the probes: look-alikes, banned requests, people in templates.

What changes a chat that is already there (disguises, mixtures, identities) belongs to `augment`, which does it anew in
each epoch and keeps the request inside the window; these are plain chats, and may be held out like any other.
"""

from collections.abc import Iterator
from typing import Any, Final

from training_pipeline.chats.labelled_chats import OWN
from training_pipeline.probes.build import even_choice
from training_pipeline.probes.identity import in_templates
from training_pipeline.probes.probe import Message, ProbeSet, Side

_WORDS_PER_SIDE: Final = 3
"""Of each template: enough to pair identities with neutral words, few enough that no template outweighs real chats."""

_SIDES: Final[tuple[Side, ...]] = ("identity", "neutral")


def training_rows(probes: ProbeSet) -> Iterator[dict[str, Any]]:
    """Yield labelled chats, ready for JSON.

    Args:
        probes: The side `train`.
    """
    for probe in probes.kind("banned", "look_alike"):
        yield _row(probe.probe_id, probe.expected, probe.messages)
    for number, template in enumerate(probes.templates):
        for side in _SIDES:
            words = [one for one in probes.words if one.side == side]
            # Turned by one template each time, so that no word belongs to a category.
            turned = words[number % len(words) :] + words[: number % len(words)]
            for person in in_templates([template], even_choice(turned, _WORDS_PER_SIDE)):
                messages = [Message(role="user", content=person.turns[-1].text)]
                yield _row(person.case_id, template.expected, messages)


def _row(name: str, category: str, messages: list[Message]) -> dict[str, Any]:
    return {
        "chat_id": f"probe-{name}",
        "category": category,
        "source": "probes",
        "license_class": OWN,
        "messages": [message.model_dump() for message in messages],
    }
