"""A console whose taxonomy answers attributes of Perspective; the shipped one answers none."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from console.service import Service
from schemas import Taxonomy
from tests.console.server import RunningConsole

NAMED = {"M": "TOXICITY", "D": "FICTION", "J": "FICTION"}


class _Renamed:
    """A bundle under another taxonomy."""

    def __init__(self, bundle: Any, taxonomy: Taxonomy, languages: Any) -> None:
        self._bundle = bundle
        self.taxonomy = taxonomy
        self.languages = languages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bundle, name)


def with_attributes(service: Service, languages: Any = None) -> Service:
    """Return the service as if its taxonomy named attributes."""
    taxonomy = service.bundle.taxonomy
    categories = tuple(
        category.model_copy(update={"perspective": NAMED.get(category.code)}) for category in taxonomy.categories
    )
    renamed = _Renamed(service.bundle, taxonomy.model_copy(update={"categories": categories}), languages)
    return replace(service, bundle=renamed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def perspective(service: Service) -> Iterator[RunningConsole]:
    """Return a console that answers TOXICITY (of one category) and FICTION (of two)."""
    running = RunningConsole(with_attributes(service, service.bundle.languages))
    yield running
    running.close()
