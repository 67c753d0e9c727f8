"""One classifier for all tests, and consoles around it with settings of their own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.judging.judge import Judge
from console.judging.loading import Loaded, load_classifier
from console.metrics import Metrics
from console.pages import PAGES
from console.port.body import Bodies
from console.port.keys import Keys
from console.port.proxy import ProxyPeople
from console.port.users import Users
from console.service import Service, service_of
from console.settings.console import ConsoleSettings, PagesSettings, QueueSettings
from console.settings.http import HttpSettings
from model import Classification
from schemas import Role, Turn
from tests.console.gated_classifier import GatedClassifier
from tests.console.postgres import Postgres, running_postgres
from tests.console.process import Process, Start
from tests.console.server import RunningConsole

StartConsole = Callable[..., RunningConsole]


@pytest.fixture(scope="session")
def loaded() -> Loaded:
    """Return the shipped bundle's classifier and rule."""
    return load_classifier(ConsoleSettings().model)


@pytest.fixture(scope="session")
def classification(loaded: Loaded) -> Classification:
    """Return a real answer, for classifiers that answer always the same."""
    (answer,), _ = loaded.classifier.classify([[Turn(Role.USER, "hello")]])
    assert isinstance(answer, Classification)
    return answer


@pytest.fixture(scope="session")
def service(loaded: Loaded) -> Iterator[Service]:
    """Return what answers with the shipped bundle; its judge runs."""
    classifier, rules, _ = loaded
    made = service_of(classifier, rules, ConsoleSettings(queue=QueueSettings(deadline_s=60)), Metrics())
    made.judge.start()
    yield made
    made.close()


@pytest.fixture
def start_console(service: Service) -> Iterator[StartConsole]:
    """Return a function that serves the service under other settings of its port."""
    running: list[RunningConsole] = []

    def start(
        *,
        keys: Keys | None = None,
        users: Users | None = None,
        people: ProxyPeople | None = None,
        judge: Judge | None = None,
        queue: QueueSettings | None = None,
        pages: PagesSettings | None = None,
        **http: Any,
    ) -> RunningConsole:
        port = HttpSettings(**http)
        update = {"http": port, "queue": queue or service.settings.queue, "pages": pages or PagesSettings()}
        settings = service.settings.model_copy(update=update)
        other = replace(service, settings=settings, bodies=Bodies(port), judge=judge or service.judge)
        running.append(RunningConsole(other, keys, () if pages is None else PAGES, users=users, people=people))
        return running[-1]

    yield start
    for console in running:
        console.close()


@pytest.fixture(scope="session")
def console(service: Service) -> Iterator[RunningConsole]:
    """Return a console with default settings, for tests that change nothing about it."""
    running = RunningConsole(service)
    yield running
    running.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a PostgreSQL for all tests, each of which has a database of its own."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def gated(classification: Classification) -> Iterator[GatedClassifier]:
    """Return a classifier that answers when it is let."""
    classifier = GatedClassifier(classification)
    yield classifier
    classifier.open()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a console."""
    started: list[Process] = []

    def start_one(*arguments: str, **environment: str) -> Process:
        folder = tmp_path / f"console-{len(started)}"
        folder.mkdir()
        started.append(Process(folder, *arguments, **environment))
        return started[-1]

    yield start_one
    for process in started:
        process.running.kill()
        process.running.wait(30)
