"""Answers on appeals arrive signed at a real server, are tried five times, and follow no redirect."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from console.errors import SettingsError
from console.metrics import Metrics
from console.outbox.assembly import signing_key
from console.outbox.holding import Holding
from console.outbox.signature import is_signed, signature_of
from console.outbox.state import SendingState
from console.outbox.target import Hosts
from console.outbox.webhooks import MOST_TRIES, WebhookSender
from console.settings.operations import AppealSettings
from console.store.outbox_rows import Kind, WebhookBody, put, sending
from console.store.outbox_shown import refusals
from console.store.store import Store
from console.store.tables import outbox
from tests.console.outbox.parts import NOW

KEY = b"0123456789abcdef"
DOCUMENT = {"appeal_id": "a1", "outcome": "accepted", "decision": "allow"}


class Receiver:
    """A caller's server: keeps what comes, and answers as it is told to."""

    def __init__(self) -> None:
        self.status = 204
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                named = {name.lower(): value for name, value in self.headers.items()}
                receiver.taken.append((self.path, named, body))
                self.send_response(receiver.status)
                self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/hook?k=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a server of the test's own."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Rig:
    """A sender whose clock the test turns on."""

    def __init__(self, store: Store, hosts: Hosts, key: bytes | None = KEY) -> None:
        self.now = NOW
        self.store = store
        self.metrics = Metrics()
        self.sender = WebhookSender(
            store,
            hosts,
            key,
            holding=Holding(store, "webhooks", "me"),
            state=SendingState(self.metrics),
            clock_ms=lambda: self.now,
        )

    def put(self, url: str) -> None:
        """Put an answer for this address."""
        body = WebhookBody(appeal_id="a1", url=url, document=DOCUMENT)
        with self.store.writing() as connection:
            put(connection, Kind.WEBHOOK, "d1", body, chat_id="chat-7", chat_hash=None, not_before_ms=NOW)

    def state(self) -> str | None:
        """Return how far it has come."""
        with self.store.reading() as connection:
            found = sending(connection, "d1", Kind.WEBHOOK)
        return None if found is None else found.state


@pytest.fixture
def rig(store: Store) -> Iterator[Rig]:
    """Return a sender to this machine."""
    made = Rig(store, Hosts.of("localhost", "localhost"))
    yield made
    made.sender.end()


def test_an_answer_arrives_signed_and_once(rig: Rig, receiver: Receiver) -> None:
    """Whoever holds the key can tell that it is ours, and of when."""
    rig.put(receiver.url)
    rig.sender.turn()
    rig.sender.turn()
    ((path, headers, body),) = receiver.taken
    assert (path, rig.state()) == ("/hook?k=1", "sent")
    assert orjson.loads(body) == DOCUMENT
    assert headers["host"] == receiver.url.split("/")[2]
    assert headers["content-type"] == "application/json"
    assert headers["verdictstream-delivery"] == "d1"
    signed = headers["verdictstream-signature"]
    at_s = int(signed.split(",")[0].removeprefix("t="))
    assert is_signed(KEY, body, signed, now_s=at_s + 60)
    assert not is_signed(KEY, body, signed, now_s=at_s + 301)
    assert not is_signed(b"another key here", body, signed, now_s=at_s)
    assert not is_signed(KEY, body + b" ", signed, now_s=at_s)
    assert not is_signed(KEY, body, f"t=x,{signed}", now_s=at_s)


def test_the_signature_is_what_the_page_says() -> None:
    """A receiver in another language computes the same."""
    # printf '1800000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
    digest = "1313ae9c874eb1a0868ad0b65f841c4243c23fdcfad69a3ada227726fad9960e"
    assert signature_of(KEY, b"{}", 1_800_000_000) == f"t=1800000000,v1={digest}"


@pytest.mark.parametrize("status", [500, 404, 302])
def test_five_tries_with_growing_waits_and_then_an_admin_sees_it(rig: Rig, receiver: Receiver, status: int) -> None:
    """A redirect counts as a failure: where it leads was not checked."""
    receiver.status = status
    rig.put(receiver.url)
    waits = []
    for _ in range(MOST_TRIES):
        rig.sender.turn()
        with rig.store.reading() as connection:
            next_ms = connection.execute(select(outbox.c.next_try_ms)).scalar_one()
        waits.append(next_ms - rig.now)
        rig.now = max(rig.now, next_ms)
    assert waits[:4] == [30_000, 60_000, 120_000, 240_000]
    assert {path for path, _, _ in receiver.taken} == {"/hook?k=1"}
    assert (len(receiver.taken), rig.state()) == (MOST_TRIES, "refused")
    with rig.store.reading() as connection:
        (refusal,) = refusals(connection)
    assert f"status {status}" in (refusal.error or "")
    rig.sender.turn()
    assert len(receiver.taken) == MOST_TRIES
    shown = rig.metrics.registry.get_sample_value(
        "moderation_console_outbox_rows_total", {"kind": "webhook", "result": "refused"}
    )
    assert shown == 1


def test_a_receiver_that_is_back_gets_its_answer(rig: Rig, receiver: Receiver) -> None:
    """The second try is as good as the first."""
    receiver.status = 503
    rig.put(receiver.url)
    rig.sender.turn()
    receiver.status = 200
    rig.now += 30_000
    rig.sender.turn()
    assert (len(receiver.taken), rig.state()) == (2, "sent")


def test_nothing_is_sent_to_a_host_that_is_no_longer_allowed_or_unsigned(store: Store, receiver: Receiver) -> None:
    """The settings may have changed since it was put."""
    for made in (Rig(store, Hosts.of("hooks.example", "")), Rig(store, Hosts.of("localhost", "localhost"), None)):
        with store.writing() as connection:
            connection.execute(outbox.delete())
        made.put(receiver.url)
        made.sender.turn()
        assert made.state() == "refused"
        made.sender.end()
    assert receiver.taken == []


def test_a_name_of_this_machine_is_refused_unless_the_operator_says_so(store: Store, receiver: Receiver) -> None:
    """Over https the name alone would be allowed; where it leads is not."""
    made = Rig(store, Hosts.of("localhost", ""))
    made.put(receiver.url.replace("http:", "https:"))
    made.sender.turn()
    assert made.state() == "refused"
    made.sender.end()


def test_nobody_there_is_a_failure_that_is_tried_again(rig: Rig) -> None:
    """And its text does not quote the address."""
    rig.put("http://localhost:1/hook?secret=1")
    rig.sender.turn()
    with rig.store.reading() as connection:
        found = sending(connection, "d1", Kind.WEBHOOK)
    assert found is not None
    assert found.state == "waiting"
    assert "no answer" in (found.error or "")
    assert "secret" not in (found.error or "")


def test_the_key_comes_from_its_file_and_must_not_be_short(tmp_path: Path) -> None:
    """A typo in a path must not leave answers unsigned."""
    path = tmp_path / "key"
    path.write_text("0123456789abcdef\n")
    assert signing_key(AppealSettings(webhook_hosts="a.example", signing_key_file=path)) == KEY
    path.write_text("short")
    with pytest.raises(SettingsError, match="expected at least 16"):
        signing_key(AppealSettings(webhook_hosts="a.example", signing_key_file=path))
    assert signing_key(AppealSettings()) is None
