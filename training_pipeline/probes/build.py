"""Build the cases of a measurement out of the probes: positions, mixtures, disguises, turns, languages, look-alikes.

Every case has its own random state (seed, family and what it is made of), so adding probes changes none of the others.

Invariant: a passage that is hidden stands in the message whole and unchanged, whatever is put around it.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from schemas import Turn
from training_pipeline.probes.disguise import KINDS, disguised
from training_pipeline.probes.filler import Filler
from training_pipeline.probes.probe import Message, Probe, ProbeSet, turns_of

Group = Literal["M", "D, J", "safe"]

POSITIONS: Final = ("start", "middle", "end")
LENGTHS: Final = (500, 2_000, 5_000, 20_000, 50_000)
"""Characters of the whole message."""

ADDITIONS: Final = ("code", "quote", "paste", "long_pastes")
PLACES: Final = ("before", "after", "around")

_N_POSITION: Final = {"M": 24, "D, J": 12, "safe": 12}
_N_MIXTURE: Final = {"M": 40, "D, J": 20, "safe": 40}

_T = TypeVar("_T")


@dataclass(frozen=True)
class Request:
    """A text that decides what a chat is."""

    request_id: str
    text: str
    group: Group
    expected: str
    """Category code."""


@dataclass(frozen=True)
class Case:
    """One chat to ask a bundle about."""

    case_id: str
    family: str
    labels: Mapping[str, str]
    """By axis of the report, the row it counts in."""
    turns: list[Turn]
    group: Group
    expected: str


def requests_of(probes: Sequence[Probe]) -> list[Request]:
    """Return the requests of probes of one message."""
    return [Request(p.probe_id, p.request, group_of(p), p.expected) for p in probes if len(p.messages) == 1]


def group_of(probe: Probe) -> Group:
    """Return which of the groups of the report a probe is in."""
    if not probe.banned:
        return "safe"
    return "M" if probe.expected == "M" else "D, J"


def all_cases(probes: ProbeSet, filler: Filler, seed: int) -> list[Case]:
    """Return every case but the counterfactual pairs, for which see `identity`."""
    requests = requests_of(probes.kind("banned", "look_alike"))
    return [
        *_as_they_are(probes),
        *positions(requests, filler, seed),
        *mixtures(requests, filler, seed),
        *disguises([request for request in requests if request.group == "M"], seed),
    ]


def positions(requests: Sequence[Request], filler: Filler, seed: int) -> Iterator[Case]:
    """Yield each of some requests at each position of messages of each length."""
    for request in _some(requests, _N_POSITION):
        for n_characters in LENGTHS:
            for position in POSITIONS:
                rng = _rng(seed, "position", request.request_id, position, n_characters)
                text = at_position(request.text, position, n_characters, filler, rng)
                labels = {"position": position, "characters": f"{n_characters:,}"}
                both = f"{n_characters:,}, {position}"
                yield _case("position", request, both, text, {**labels, "characters and position": both})


def at_position(text: str, position: str, n_characters: int, filler: Filler, rng: random.Random) -> str:
    """Return a message of about so many characters with a text at its start, in its middle or at its end.

    Raises:
        ValueError: the position is not known.
    """
    left = max(n_characters - len(text) - 4, 2)
    shares = {"start": (0, left), "middle": (left // 2, left // 2), "end": (left, 0)}
    if position not in shares:
        raise ValueError(f"position is {position!r}; expected one of {', '.join(POSITIONS)}")
    before, after = (filler.text(n, rng) if n else "" for n in shares[position])
    return _joined(before, text, after)


def mixtures(requests: Sequence[Request], filler: Filler, seed: int) -> Iterator[Case]:
    """Yield each of some requests with each kind of safe text before it, after it and around it."""
    for request in _some(requests, _N_MIXTURE):
        for addition in ADDITIONS:
            for place in PLACES:
                rng = _rng(seed, "mixture", request.request_id, addition, place)
                text = mixed(request.text, addition, place, filler, rng)
                both = f"{addition} {place}"
                labels = {"addition": addition, "place": place, "addition and place": both}
                yield _case("mixture", request, both, text, labels)


def mixed(text: str, addition: str, place: str, filler: Filler, rng: random.Random) -> str:
    """Return a message that holds a text and unrelated safe text.

    Raises:
        ValueError: the addition or the place is not known.
    """
    make = {"code": filler.code, "quote": filler.quote, "paste": filler.paste, "long_pastes": filler.long_paste}
    if addition not in make or place not in PLACES:
        raise ValueError(f"found {addition!r} {place!r}; expected {', '.join(ADDITIONS)} and {', '.join(PLACES)}")
    before = make[addition](rng) if place != "after" else ""
    after = make[addition](rng) if place != "before" else ""
    return _joined(before, text, after)


def disguises(requests: Sequence[Request], seed: int) -> Iterator[Case]:
    """Yield each request in each disguise."""
    for request in requests:
        for kind in KINDS:
            text = disguised(request.text, kind, _rng(seed, "evasion", request.request_id, kind))
            yield _case("evasion", request, kind, text, {"disguise": kind})


def even_choice(things: Sequence[_T], n: int) -> list[_T]:
    """Return so many of the things, evenly spread over their order; all where there are fewer."""
    if len(things) <= n:
        return list(things)
    return [things[i * len(things) // n] for i in range(n)]


def _some(requests: Sequence[Request], sizes: Mapping[str, int]) -> Iterator[Request]:
    for group, n in sizes.items():
        yield from even_choice([request for request in requests if request.group == group], n)


def _as_they_are(probes: ProbeSet) -> Iterator[Case]:
    for probe in probes.probes:
        yield Case(probe.probe_id, probe.kind, _labels(probe), probe.turns, group_of(probe), probe.expected)


def _labels(probe: Probe) -> dict[str, str]:
    if probe.kind == "language":
        return {"all": "all", "language": probe.group}
    if probe.kind == "multi_turn":
        return {"all": "all", "turns after the request": probe.group.rpartition("_")[2]}
    if probe.kind == "hand":
        return {"case": f"{probe.probe_id[-2:]} {probe.group}: {probe.note or _beginning(probe.request)}"}
    return {"all": "all", "group": probe.group}


def _beginning(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004  a row of the table


def _case(family: str, request: Request, variant: str, text: str, labels: Mapping[str, str]) -> Case:
    case_id = f"{family}-{request.request_id}-{variant}"
    turns = turns_of(case_id, [Message(role="user", content=text)])
    return Case(case_id, family, {"all": "all", **labels}, turns, request.group, request.expected)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _rng(seed: int, *parts: object) -> random.Random:
    return random.Random(":".join(map(str, (seed, *parts))))  # noqa: S311  reproducible, and no secret
