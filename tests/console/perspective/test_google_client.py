"""Google's generic Python client, built from our discovery document, as users of Perspective build it."""

from pathlib import Path
from typing import Any

import pytest
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from console.port.keys import Keys
from tests.console.conftest import StartConsole
from tests.console.port.test_keys import write
from tests.console.server import RunningConsole

ASKED: dict[str, Any] = {"comment": {"text": "hello there"}, "requestedAttributes": {"TOXICITY": {}}}


def client_of(console: RunningConsole, key: str = "anything") -> Any:
    """Return the client; the one change in a user's code is the address."""
    return discovery.build(
        "commentanalyzer",
        "v1alpha1",
        developerKey=key,
        discoveryServiceUrl=f"{console.url}/$discovery/rest?version=v1alpha1",
        static_discovery=False,
        cache_discovery=False,
    )


def test_a_comment_is_scored(perspective: RunningConsole) -> None:
    """`comments().analyze(body=…).execute()`, as in every example on the web."""
    answer = client_of(perspective).comments().analyze(body=ASKED).execute()
    assert 0 <= answer["attributeScores"]["TOXICITY"]["summaryScore"]["value"] <= 1
    assert answer["attributeScores"]["TOXICITY"]["spanScores"][0]["end"] == 11
    assert answer["detectedLanguages"]


def test_an_error_is_read_by_the_client(perspective: RunningConsole) -> None:
    """Status, reason and details."""
    with pytest.raises(HttpError) as refused:
        client_of(perspective).comments().analyze(body=ASKED | {"requestedAttributes": {"SPAM": {}}}).execute()
    assert refused.value.status_code == 400
    assert "Unknown requested attribute: SPAM" in refused.value.reason
    details: Any = refused.value.error_details
    assert details[0]["errorType"] == "INVALID_REQUEST"
    with pytest.raises(HttpError) as missing:
        client_of(perspective).comments().suggestscore(body={"comment": {"text": "hi"}}).execute()
    assert missing.value.status_code == 501


def test_the_key_goes_with_every_call(start_console: StartConsole, tmp_path: Path) -> None:
    """Also with the one for the discovery document."""
    write(tmp_path / "keys.toml", ("coral", "k1"))
    console = start_console(keys=Keys(tmp_path / "keys.toml"))
    with pytest.raises(HttpError) as unknown:
        client_of(console, "wrong")
    assert unknown.value.status_code == 403
    with pytest.raises(HttpError) as refused:
        client_of(console, "k1").comments().analyze(body=ASKED).execute()
    assert "Unknown requested attribute: TOXICITY" in refused.value.reason


def test_the_document_names_the_address_that_clients_see(start_console: StartConsole) -> None:
    """Behind a proxy the port's own would lead nowhere."""
    own = start_console()
    assert own.ask("GET", "/$discovery/rest").json["rootUrl"] == f"{own.url}/"
    behind = start_console(public_url="https://moderation.example")
    assert behind.ask("GET", "/$discovery/rest").json["rootUrl"] == "https://moderation.example/"
