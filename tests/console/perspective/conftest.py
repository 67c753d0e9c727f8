"""A console whose taxonomy answers attributes of Perspective; the shipped one answers none."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from console.service import Service
from tests.console.server import RunningConsole

NAMED = {"M": "TOXICITY", "D": "FICTION", "J": "FICTION"}


def with_attributes(service: Service, languages: Any = None) -> Service:
    """Return the service as if its bundle's taxonomy named attributes."""
    taxonomy = service.bundle.taxonomy
    categories = tuple(
        category.model_copy(update={"perspective": NAMED.get(category.code)}) for category in taxonomy.categories
    )
    named = taxonomy.model_copy(update={"categories": categories})
    manifest = service.bundle.manifest.model_copy(update={"taxonomy": named})
    return replace(service, bundle=replace(service.bundle, manifest=manifest, languages=languages))


@pytest.fixture(scope="module")
def perspective(service: Service) -> Iterator[RunningConsole]:
    """Return a console that answers TOXICITY (of one category) and FICTION (of two)."""
    running = RunningConsole(with_attributes(service, service.bundle.languages))
    yield running
    running.close()
