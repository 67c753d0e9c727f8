"""What a caller may do. Each role may what the one before it may."""

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from console.errors import Problem


class Role(StrEnum):
    """What a caller is."""

    CLIENT = "client"
    """A program that asks the classifier. It sees no chat of anybody's."""
    VIEWER = "viewer"
    """Sees verdicts, figures and who decided what; no chat text."""
    REVIEWER = "reviewer"
    """Reads chats, and decides on them."""
    ADMIN = "admin"
    """Promotes bundles, exports everybody's decisions, sees each reviewer's figures."""


_RANK: Final = {role: rank for rank, role in enumerate(Role)}


def may(role: Role, needed: Role) -> bool:
    """Say whether a role reaches another one."""
    return _RANK[role] >= _RANK[needed]


def check_role(role: Role, needed: Role) -> None:
    """Raise Problem (403, `role_needed`) where a role does not reach another one."""
    if not may(role, needed):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "role_needed",
            f"found the role {role.value}; expected {needed.value}; ask whoever keeps the users or the keys file",
        )
