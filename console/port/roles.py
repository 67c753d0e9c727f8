"""What a caller may do. Each role may what the one before it may.

Every route says which role it needs, by `needs`, so that a test can walk them all.
"""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from fastapi import Depends, Request
from fastapi.routing import RouteContext

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


class RoleNeeded(Problem):
    """403, `role_needed`: the caller's role is too low. A person who opens a page gets one that says so.

    Args:
        role: What the caller is.
        needed: What the route needs.
    """

    def __init__(self, role: Role, needed: Role) -> None:
        super().__init__(
            HTTPStatus.FORBIDDEN,
            "role_needed",
            f"found the role {role.value}; expected {needed.value}; ask whoever keeps the users or the keys file",
        )
        self.needed = needed


def check_role(role: Role, needed: Role) -> None:
    """Raise RoleNeeded where a role does not reach another one."""
    if not may(role, needed):
        raise RoleNeeded(role, needed)


@dataclass(frozen=True)
class _Needs:
    """A dependency of a route: answers 403 where the caller's role is too low."""

    role: Role

    async def __call__(self, request: Request) -> None:
        # Not by `caller_of`: the guard, which sets the caller, imports this module.
        check_role(request.scope["state"]["caller"].role, self.role)


def needs(role: Role) -> Any:
    """Return the dependency of a route, or of a router's routes, that only callers of a role may ask.

    `@router.post("/v1/overrides", dependencies=[needs(Role.REVIEWER)])`. It is checked before the body is read.
    CLIENT: whoever the guard lets through, on the open paths of the login also nobody.
    """
    return Depends(_Needs(role))


def role_needed(route: RouteContext) -> Role | None:
    """Return the highest role that a route asks for by `needs`; None where it asks for none.

    Args:
        route: Of `fastapi.routing.iter_route_contexts`: with the dependencies of the routers around it.
    """
    dependant = getattr(route, "dependant", None)
    asked = [] if dependant is None else [one.call.role for one in dependant.dependencies if type(one.call) is _Needs]
    return max(asked, key=_RANK.__getitem__, default=None)
