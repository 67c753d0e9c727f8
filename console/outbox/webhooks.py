"""Tell callers the answer to their appeals: a signed POST, five tries, each wait twice the one before.

A receiver may get an answer twice, since its acknowledgement can be lost: `verdictstream-delivery` is then the same.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import orjson
import structlog

from console.outbox.holding import Holding
from console.outbox.signature import HEADER, signature_of
from console.outbox.state import SendingState
from console.outbox.target import Hosts, HostUnknown, TargetRefused, address_of, target_of
from console.store import outbox_rows
from console.store.outbox_rows import Kind, OutboxRow, WebhookBody
from console.store.store import Store, now_ms

log = structlog.get_logger()

DELIVERY_HEADER: Final = "verdictstream-delivery"
MOST_TRIES: Final = 5
FIRST_WAIT_MS: Final = 30_000
"""30 s, then 1, 2 and 4 minutes."""
_AT_ONCE: Final = 8
_POLL_S: Final = 5.0
_DEFAULT_PORTS: Final = frozenset({80, 443})
_TIMEOUT: Final = httpx.Timeout(5.0, read=10.0)
_KINDS: Final = (Kind.WEBHOOK,)


class WebhookSender:
    """Sends in turns; for one thread, which has helpers of its own so that a slow receiver holds up few.

    Args:
        store: The database.
        hosts: Who may be sent to.
        key: Signs; None where none is set, and then nothing may be sent.
        holding: Says whether this console sends.
        state: Where results are counted.
        clock_ms: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        key: bytes | None,
        *,
        holding: Holding,
        state: SendingState,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._key = key
        self._holding = holding
        self._state = state
        self._clock_ms = clock_ms
        self._client = httpx.Client(
            timeout=_TIMEOUT,
            follow_redirects=False,
            # A proxy of the environment would look the name up again, and connect to what it then finds.
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"user-agent": "verdictstream", "content-type": "application/json"},
        )
        self._helpers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhooks")

    def turn(self) -> float:
        """Send what is due; return the seconds until it is to be called again; raises StoreAway."""
        while self._holding.is_mine() and (rows := self._due()):
            self._send(rows)
        with self._store.reading() as connection:
            at_ms = outbox_rows.next_due_ms(connection, _KINDS)
        if at_ms is None:
            return _POLL_S
        return min(_POLL_S, max(0.1, (at_ms - self._clock_ms()) / 1_000))

    def end(self) -> None:
        """Close what is open; raises StoreAway."""
        self._helpers.shutdown()
        self._client.close()
        self._holding.give_back()

    def _due(self) -> list[OutboxRow]:
        now = self._clock_ms()
        with self._store.writing() as connection:
            due = outbox_rows.due(connection, now, _AT_ONCE, _KINDS)
            return [row for row in due if outbox_rows.start(connection, row.id, now)]

    def _send(self, rows: Sequence[OutboxRow]) -> None:
        for row, fault in zip(rows, self._helpers.map(self._fault, rows), strict=True):
            now = self._clock_ms()
            with self._store.writing() as connection:
                if fault is None:
                    outbox_rows.sent(connection, row.id, now)
                elif isinstance(fault, TargetRefused) or row.n_tries + 1 >= MOST_TRIES:
                    outbox_rows.refused(connection, row.id, now, f"try {row.n_tries + 1}: {fault}")
                else:
                    outbox_rows.failed(connection, row.id, now, str(fault), first_wait_ms=FIRST_WAIT_MS)
            self._told(row, fault)

    def _told(self, row: OutboxRow, fault: Exception | None) -> None:
        fields = {"decision_id": row.decision_id, "try": row.n_tries + 1}
        if fault is None:
            self._state.sent(Kind.WEBHOOK)
            log.info("appeal_answer_sent", **fields)
            return
        is_over = isinstance(fault, TargetRefused) or row.n_tries + 1 >= MOST_TRIES
        if is_over:
            self._state.refused(Kind.WEBHOOK)
        log.warning("appeal_answer_not_sent", error=str(fault), is_over=is_over, **fields)

    def _fault(self, row: OutboxRow) -> Exception | None:
        """Try to send a row; return what went wrong. Runs in a helper."""
        try:
            self._post(row)
        except (TargetRefused, HostUnknown, _NotTaken) as fault:
            return fault
        except httpx.HTTPError as error:
            # Its text may quote the address, and so what the caller put into its query.
            return _NotTaken(f"no answer ({type(error).__name__}); expected a status of 2xx within 10 s")
        return None

    def _post(self, row: OutboxRow) -> None:
        body = row.body
        if not isinstance(body, WebhookBody):
            raise TargetRefused("the row's body is not understood; expected what this release writes")
        if self._key is None:
            raise TargetRefused("appeals.signing_key is not set; expected one: no answer is sent without a signature")
        target = target_of(body.url, self._hosts)
        address = address_of(target, self._hosts)
        name = f"[{target.host}]" if ":" in target.host else target.host
        raw = orjson.dumps(body.document)
        headers = {
            "host": name if target.port in _DEFAULT_PORTS else f"{name}:{target.port}",
            HEADER: signature_of(self._key, raw, int(time.time())),
            DELIVERY_HEADER: row.decision_id,
        }
        # To the address that was checked, under the name for which the certificate must be.
        request = self._client.build_request(
            "POST",
            httpx.URL(body.url).copy_with(host=address, port=target.port),
            content=raw,
            headers=headers,
            extensions={"sni_hostname": target.host},
        )
        response = self._client.send(request, stream=True)
        # What the receiver says besides its status is of no use, and may be endless.
        response.close()
        if not response.is_success:
            raise _NotTaken(f"status {response.status_code}; expected 2xx; redirects are not followed")


class _NotTaken(Exception):  # noqa: N818  the name says what happened
    """The receiver did not take an answer; it is tried again."""
