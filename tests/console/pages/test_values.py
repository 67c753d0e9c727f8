"""What the database takes as no value is the caller's to mend, and no fault of the service."""

from dataclasses import replace
from pathlib import Path

import pytest

from console.pages import PAGES
from console.service import Service
from tests.console.operations import operations_at
from tests.console.pages.following import WrittenHistories, WrittenTexts
from tests.console.postgres import running_postgres
from tests.console.roles import bearer, keys_of_roles
from tests.console.server import RunningConsole


@pytest.mark.services
def test_a_nul_is_refused_where_the_database_takes_none(service: Service, tmp_path: Path) -> None:
    """On the page Chat, whose chat ids come from a browser; PostgreSQL stores no NUL character."""
    with running_postgres() as server:
        opened = operations_at(server.new_database())
        worker = opened.worker
        operations = replace(opened, texts=WrittenTexts(worker), histories=WrittenHistories(worker))
        console = RunningConsole(replace(service, operations=operations), keys_of_roles(tmp_path), PAGES)
        try:
            word = {"decision_id": "0" * 32, "chat_id": "a\0b", "policy": "*", "reason": "other"}
            answer = console.post("/chat/clear", word, authorization=bearer("reviewer")["authorization"])
            assert (answer.status, answer.error["code"]) == (400, "invalid_input")
        finally:
            console.close()
            operations.close()
