"""What a policy would have decided on verdicts that were read, and what it promises."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from console.pages.policy.choices import refused, side_of
from console.service import Service
from model import PolicyError, load_policy
from model.bundle.policy_toml import policy_toml
from model.figures.guarantee import guarantee_of
from model.policies.decide_columns import decisions_of, said_of
from model.policies.simulate import Side, Simulation
from model.policies.simulated import Account
from model.policies.verdict_columns import VerdictColumns
from schemas import Policy

N_SAMPLED: Final = 12
"""Chats that are named of each kind of change."""


def answer_of(simulation: Simulation, against: Side, columns: VerdictColumns | None) -> dict[str, Any]:
    """Return what the page shows of a policy and another one that it is compared with.

    Args:
        simulation: The policy that is tried.
        against: The other side of it.
        columns: The verdicts; None while they are read.
    """
    return {
        "promise": _promised(simulation.new),
        "old_promise": _promised(against),
        "simulation": None if columns is None else _simulated(simulation, against, columns),
    }


def _simulated(simulation: Simulation, against: Side, columns: VerdictColumns) -> dict[str, Any]:
    """Return what would change, as `Account.document`."""
    account = Account(simulation, n_sampled=N_SAMPLED)
    rows, set_aside = _comparable(columns, simulation.new.policy.name)
    account.set_aside.update(set_aside)
    account.add_many(
        [columns.chat_ids[row] for row in rows.tolist()],
        said_of(against, columns).of(rows),
        said_of(simulation.new, columns).of(rows),
    )
    return account.document()


def _comparable(columns: VerdictColumns, policy: str) -> tuple[NDArray[np.intp], Counter[str]]:
    """Return the rows that a policy decides, and by reason how many it does not."""
    by_place = [one.in_place_of(policy) for one in columns.interventions]
    counts = np.bincount(columns.intervention, minlength=len(by_place))
    set_aside: Counter[str] = Counter()
    for reason, n in zip(by_place, counts.tolist(), strict=True):
        if reason is not None and n:
            set_aside[reason.value] += n
    decides = np.array([reason is None for reason in by_place], dtype=np.bool_)
    return np.flatnonzero(decides[columns.intervention]), set_aside


def _promised(side: Side) -> dict[str, Any]:
    return guarantee_of(side.at_its_rate.default).document()


def file_of(service: Service, side: Side, columns: VerdictColumns | None) -> dict[str, Any]:
    """Return the policy's file, read back, and on how many verdicts what was read decides the same.

    Raises:
        Problem: what was written is refused when it is read.
    """
    text = policy_toml(side.policy)
    read = _read_back(text, service)
    n, n_same = 0, 0
    if columns is not None:
        rows, _ = _comparable(columns, side.policy.name)
        again = side_of(service, read)
        same = decisions_of(side.at_its_rate, columns) == decisions_of(again.at_its_rate, columns)
        n, n_same = len(rows), int(same[rows].sum())
    return {
        "name": f"{_file_name(side.policy)}.toml",
        "text": text,
        "is_read_back": read == side.policy,
        "n_compared": n,
        "n_same": n_same,
    }


def _read_back(text: str, service: Service) -> Policy:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_text(text, encoding="utf-8")
        try:
            return load_policy(path, service.bundle)
        except PolicyError as error:
            raise refused("policy", str(error).replace(f"{path}: ", "")) from None


def _file_name(policy: Policy) -> str:
    """Return letters, digits and dashes of a policy's name, and its version."""
    plain = "".join(character if character.isascii() and character.isalnum() else "-" for character in policy.name)
    return f"{plain.strip('-') or 'policy'}-{policy.version}"
