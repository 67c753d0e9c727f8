"""What a policy is made of on the page: the policies there are, the taxonomy, and what a request wishes for."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError

from console.errors import Problem
from console.service import Service
from model.bundle.documents import problems_of
from model.errors import BundleError
from model.policies.simulate import Side, Simulation
from schemas import Policy, TaxonomyError


class CategoryChoice(BaseModel):
    """A category that a policy may ban."""

    code: str
    name: str
    description: str
    is_floor: bool
    """No policy may allow it."""


class Start(BaseModel):
    """What the page begins with."""

    model: dict[str, str]
    is_calibrated: bool
    n_calibration: int
    taxonomy: str
    categories: list[CategoryChoice]
    languages: list[str]
    """That the bundle tells apart; empty where it tells none."""
    calibrated_languages: list[str]
    policies: list[Policy]
    """The default policy first."""


def start_of(service: Service) -> Start:
    """Return what the page begins with."""
    bundle, rule = service.bundle, service.bundle.manifest.languages
    floor = bundle.taxonomy.floor | _floor(service)
    return Start(
        model=bundle.ref.model_dump(),
        is_calibrated=bundle.is_calibrated,
        n_calibration=len(bundle.calibration_labels),
        taxonomy=bundle.taxonomy.name,
        categories=[
            CategoryChoice(
                code=category.code,
                name=category.name,
                description=category.description,
                is_floor=category.code in floor,
            )
            for category in bundle.taxonomy.categories
        ],
        languages=[] if rule is None else sorted(rule.codes),
        calibrated_languages=[] if rule is None else sorted(rule.calibrated),
        policies=list(service.writer.policies),
    )


def wished(document: dict[str, Any], member: str = "policy") -> Policy:
    """Return the policy that a request holds.

    Raises:
        Problem: it holds none.
    """
    try:
        return Policy.model_validate(document.get(member))
    except ValidationError as error:
        raise refused(member, problems_of(error)) from None


def side_of(service: Service, policy: Policy) -> Side:
    """Return a policy over the console's bundle, behind the floor of workers.

    Raises:
        Problem: it is over another taxonomy, or the calibration chats cannot speak for what it bans.
    """
    with _usable(service, policy):
        return Side(service.bundle, policy, _floor(service))


def simulation_of(service: Service, new: Policy, against: Policy) -> Simulation:
    """Return a policy and one that it is compared with, as `side_of`."""
    with _usable(service, new, against):
        return Simulation(service.bundle, new, against, _floor(service))


@contextmanager
def _usable(service: Service, *policies: Policy) -> Iterator[None]:
    try:
        for policy in policies:
            policy.require(service.bundle.taxonomy)
        yield
    except (BundleError, TaxonomyError) as error:
        raise refused("policy", str(error)) from None


def _floor(service: Service) -> frozenset[str]:
    """Return the codes that workers let no policy allow, besides the taxonomy's."""
    return frozenset() if service.operations is None else service.operations.worker.model.floor_codes


def refused(param: str, message: str) -> Problem:
    """Return the answer to what cannot be used."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "policy_refused", message, param=param)
