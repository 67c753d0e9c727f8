"""The bundles that the Try page offers: the served one, and others that are loaded when they are chosen.

Invariant: at most so many others are in memory; the one that was not asked for the longest goes first.
"""

import asyncio
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog

from console.errors import Problem
from console.metrics import Metrics
from console.pages.try_it.offered import classifier_of, is_described
from console.service import Service, load_service
from console.settings.console import ConsoleSettings, ModelSettings
from model import Bundle, BundleError, ClassesRefused, PolicyError
from model.bundle.registry import RegistryEntry, is_registry, read_registry
from model.bundle.signature import verify
from model.tokenization import ConversationTokenizer
from schemas import TaxonomyError

SERVED: Final = "served"
_MOST_WAITING: Final = 8
"""Requests that wait for a bundle to be loaded. Each load takes seconds of a CPU, so that whoever asks for bundles in
turns would keep one busy for as long as he asked, and for hours after."""
_RETRY_S: Final = 2
_SHIPPED: Final = Path(__file__).parent / "classifiers"

log = structlog.get_logger()


@dataclass(frozen=True)
class Loaded:
    """A bundle that answers."""

    service: Service
    tokenizer: ConversationTokenizer

    @classmethod
    def of(cls, service: Service) -> "Loaded":
        """Put together what tells a bundle's reading."""
        bundle = service.bundle
        most = bundle.manifest.windowing.max_tokens
        return cls(service, ConversationTokenizer(bundle.tokenizer_json, max_tokens=most))


@dataclass(frozen=True)
class Choice:
    """A bundle that can be loaded."""

    name: str
    """Names it in requests."""
    load: Callable[[], Service]


class Shelf:
    """The bundles; for one event loop.

    Args:
        served: What answers the API as well.
    """

    def __init__(self, served: Service) -> None:
        self._served = Loaded.of(served)
        self._settings = served.settings
        self._others: OrderedDict[str, Loaded] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()
        self._n_waiting = 0
        served.at_end.append(self._close)

    def names(self) -> list[str]:
        """Return what can be chosen; the served one is `served`."""
        return [SERVED, *(choice.name for choice in self._choices())]

    async def loaded(self, name: str) -> Loaded:
        """Return a bundle, which takes seconds where it was not asked for lately.

        Raises:
            Problem: there is none of this name, it is refused, or too many wait for theirs.
        """
        if name == SERVED:
            return self._served
        # Before the queue: who asks a bundle that is here does not wait until another's is.
        if (found := self._ready(name)) is not None:
            return found
        if self._n_waiting == _MOST_WAITING:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "overloaded",
                f"{self._n_waiting} others wait for a bundle to be loaded; ask again after retry-after",
                retry_after_s=_RETRY_S,
            )
        self._n_waiting += 1
        try:
            async with self._one_at_a_time:
                return self._ready(name) or await self._added(name)
        finally:
            self._n_waiting -= 1

    def _ready(self, name: str) -> Loaded | None:
        """Return a bundle that is here. A judge ends by itself where inferences never do: that one is not."""
        found = self._others.get(name)
        if found is None or not found.service.judge.is_ready:
            return None
        self._others.move_to_end(name)
        return found

    async def _added(self, name: str) -> Loaded:
        """Load a bundle; another goes first where there is no room."""
        choice = await asyncio.to_thread(self._choice, name)
        self._others.pop(name, None)
        while len(self._others) >= self._settings.pages.max_bundles:
            _, oldest = self._others.popitem(last=False)
            await asyncio.to_thread(oldest.service.close)
        self._others[name] = await asyncio.to_thread(self._load, choice)
        return self._others[name]

    def _close(self) -> None:
        for other in self._others.values():
            other.service.close()

    def _choice(self, name: str) -> Choice:
        choice = next((choice for choice in self._choices() if choice.name == name), None)
        if choice is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_bundle", "no such bundle; reload the page to see them")
        return choice

    def _load(self, choice: Choice) -> Loaded:
        try:
            service = choice.load()
        except (BundleError, PolicyError, TaxonomyError, ClassesRefused) as error:
            log.warning("bundle_refused", bundle=choice.name, error=str(error))
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "bundle_refused", "this bundle is refused; the log says why"
            ) from error
        service.judge.start()
        log.info("bundle_loaded", bundle=choice.name, model=service.bundle.ref.model_dump())
        return Loaded.of(service)

    def _choices(self) -> Iterator[Choice]:
        """Yield what the settings name by now: a registry gets new bundles."""
        taken = {SERVED}
        for name, load in self._named():
            unique, n = name, 1
            while unique in taken:
                n += 1
                unique = f"{name} ({n})"
            taken.add(unique)
            yield Choice(unique, load)

    def _named(self) -> Iterator[tuple[str, Callable[[], Service]]]:
        model = self._settings.model
        if is_registry(model.path):
            yield from self._of_registry(model.path, without=self._served.service.bundle)
        for path in self._settings.pages.bundle_paths:
            if is_described(path):
                yield path.stem, partial(self._described, path)
            elif is_registry(path):
                yield from self._of_registry(path)
            else:
                yield path.name, partial(self._of_folder, path, model.public_key_file)
        for path in sorted(_SHIPPED.glob("*.toml")):
            yield path.stem, partial(self._described, path)

    def _of_registry(self, path: Path, without: Bundle | None = None) -> Iterator[tuple[str, Callable[[], Service]]]:
        """Yield the bundles that a registry serves or has served, the newest first."""
        try:
            registry = read_registry(path)
        except BundleError as error:
            log.warning("registry_refused", error=str(error))
            return
        entries = {entry.location: entry for entry in (registry.current, *reversed(registry.history))}
        for entry in entries.values():
            if without is None or entry.digest != without.digest:
                yield entry.location, partial(self._of_entry, path, entry)

    def _of_entry(self, registry: Path, entry: RegistryEntry) -> Service:
        if (key := self._settings.model.public_key_file) is not None:
            verify(entry.digest, entry.signature, key)
        service = self._of_folder((registry if registry.is_dir() else registry.parent) / entry.location, None)
        if service.bundle.digest != entry.digest:
            raise BundleError(f"{entry.location}: is not the bundle that was promoted; promote it again")
        return service

    def _described(self, path: Path) -> Service:
        classifier = classifier_of(path)
        with tempfile.TemporaryDirectory() as folder:
            return self._of_folder(classifier.save(Path(folder) / "bundle"), None)

    def _of_folder(self, path: Path, public_key_file: Path | None) -> Service:
        model = ModelSettings(
            path=path,
            public_key_file=public_key_file,
            # One thread: the API's classifier has the others.
            n_threads=1,
            timeout_s=self._settings.model.timeout_s,
        )
        settings: ConsoleSettings = self._settings.model_copy(update={"model": model})
        # Metrics of its own, which nobody reads: those of the process are of the served bundle.
        return load_service(settings, Metrics())
