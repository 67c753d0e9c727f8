"""A TCP proxy on the loopback whose line can be made slow, lossy, narrow or silent, cut, and led elsewhere.

It can hold single Kafka messages too: a request or a reply of one kind, and what comes behind it on that connection. So
a test chooses the very step that fails, such as the answer to EndTxn. Kafka's clients connect to the addresses that a
broker advertises: it must advertise this proxy's port (`deploy.local.proxied_stack`).

Invariant: what passes passes whole and in order; a held message is passed on or dropped as a whole.
"""

import asyncio
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any, Final, Literal, Self

from testkit.errors import HarnessError
from testkit.link_faults import HEALTHY, LinkFaults

LOOPBACK: Final = "127.0.0.1"

Direction = Literal["request", "reply"]

_CHUNK_BYTES: Final = 65_536
_QUEUE_CHUNKS: Final = 64
"""What is under way on one connection at most; beyond it the sender waits, as on a full line."""
_LOOK_EVERY_S: Final = 0.02
_START_S: Final = 10.0


class KafkaApi(IntEnum):
    """Kinds of Kafka requests, by their number in the protocol."""

    PRODUCE = 0
    FETCH = 1
    METADATA = 3
    HEARTBEAT = 12
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class Hold:
    """Messages of one kind that do not pass for now.

    Args:
        api: Which kind.
        direction: Requests, or the replies to them.
        n_most: So many of them; later ones pass.
    """

    def __init__(self, api: KafkaApi, direction: Direction, n_most: int) -> None:
        self.api, self.direction = api, direction
        self._n_most = n_most
        self.n_held = 0
        self._outcome: Literal["pass", "drop"] | None = None

    def release(self) -> None:
        """Let them pass, those that were held first."""
        self._outcome = "pass"

    def drop(self) -> None:
        """Let those that are held be lost; later ones pass."""
        self._outcome = "drop"

    async def passes(self) -> bool:
        """Wait for what becomes of one message; return False where it is lost."""
        if self._outcome is not None or self.n_held == self._n_most:
            return True
        self.n_held += 1
        while self._outcome is None:  # noqa: ASYNC110  a thread without this loop sets it
            await asyncio.sleep(_LOOK_EVERY_S)
        return self._outcome == "pass"


class FaultProxy:
    """Takes connections on a port of its own and passes their content on; a context manager.

    Args:
        target_port: Where to; it may be given later, by `lead_to`.
        speaks_kafka: Whether content is Kafka's protocol, of which single messages can be held.
        seed: Of the dice.

    Attributes:
        port: Where it listens.
        faults: The state of the line; set it to change it, also under way.
        n_silenced: Pieces that came to the end of a silent line, and waited there or still do.
    """

    def __init__(self, target_port: int | None = None, *, speaks_kafka: bool = False, seed: int = 1) -> None:
        self.faults: LinkFaults = HEALTHY
        self.n_silenced = 0
        self._target_port = target_port
        self._speaks_kafka = speaks_kafka
        self._dice = random.Random(seed)  # noqa: S311  weather, no secret
        self._holds: list[Hold] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._free_at: dict[Direction, float] = {"request": 0.0, "reply": 0.0}
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"fault-proxy-{self.port}", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_S):
            raise HarnessError(f"the proxy on port {self.port} did not start within {_START_S:.0f} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def n_connections(self) -> int:
        """Connections that are open, as far as the client knows."""
        return len(self._writers) // 2

    def lead_to(self, port: int) -> None:
        """Lead new connections to another port, as a name does after a failover; the open ones stay."""
        self._target_port = port

    def heal(self) -> None:
        """Take every fault off the line; what was held passes."""
        self.faults = HEALTHY
        for hold in self._holds:
            hold.release()
        self._holds = []

    def hold(self, api: KafkaApi, direction: Direction, *, n_most: int = 1) -> Hold:
        """Hold the next message of one kind, or the next few.

        Raises:
            HarnessError: this proxy does not look into what it passes on.
        """
        if not self._speaks_kafka:
            raise HarnessError(f"the proxy on port {self.port} passes bytes; expected speaks_kafka for {api.name}")
        found = Hold(api, direction, n_most)
        self._holds = [*self._holds, found]
        return found

    def cut(self) -> None:
        """Reset every open connection; new ones are taken."""

        def abort_all() -> None:
            for writer in self._writers:
                writer.transport.abort()

        self._call(abort_all)

    def close(self) -> None:
        """Reset what is open and take no more."""
        self.cut()
        self._call(self._loop.stop)
        self._thread.join(_START_S)
        self._listener.close()

    def _call(self, what: Callable[[], Any]) -> None:
        # Closed twice.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, sock=self._listener))
        self._started.set()
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.faults.is_silent:  # noqa: ASYNC110  the same
            await asyncio.sleep(_LOOK_EVERY_S)
        try:
            target = await asyncio.open_connection(LOOPBACK, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, target[1]}
        self._writers |= ends
        asked: dict[int, int] = {}
        try:
            await asyncio.gather(
                self._pump(reader, target[1], "request", asked), self._pump(target[0], writer, "reply", asked)
            )
        finally:
            self._writers -= ends
            for end in ends:
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction, asked: dict[int, int]
    ) -> None:
        """Carry one direction: read as it comes, write when it is due; an end is passed on as an end."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUE_CHUNKS)
        delivery = asyncio.create_task(self._deliver(line, writer))
        arrives_at = 0.0
        with suppress(OSError, asyncio.IncompleteReadError):
            async for chunk in self._chunks(reader):
                if self._speaks_kafka and not await self._may_pass(chunk, direction, asked):
                    continue
                arrives_at = max(arrives_at, self._due(len(chunk), direction))
                await line.put((arrives_at, chunk))
        await line.put((arrives_at, b""))
        await delivery

    async def _chunks(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        if not self._speaks_kafka:
            while chunk := await reader.read(_CHUNK_BYTES):
                yield chunk
            return
        while True:
            length = await reader.readexactly(4)
            yield length + await reader.readexactly(int.from_bytes(length))

    async def _may_pass(self, message: bytes, direction: Direction, asked: dict[int, int]) -> bool:
        if direction == "request":
            api = int.from_bytes(message[4:6])
            asked[int.from_bytes(message[8:12])] = api
        else:
            api = asked.pop(int.from_bytes(message[4:8]), -1)
        for hold in self._holds:
            if hold.api == api and hold.direction == direction and not await hold.passes():
                return False
        return True

    def _due(self, n_bytes: int, direction: Direction) -> float:
        now = self._loop.time()
        faults = self.faults
        self._free_at[direction] = max(now, self._free_at[direction]) + faults.sending_s(n_bytes)
        return self._free_at[direction] + faults.delay_s(n_bytes, self._dice)

    async def _deliver(self, line: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            due, chunk = await line.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            self.n_silenced += self.faults.is_silent
            while self.faults.is_silent:  # noqa: ASYNC110  the same
                await asyncio.sleep(_LOOK_EVERY_S)
            # A peer that has gone away takes the rest of its own connection with it.
            with suppress(OSError, RuntimeError):
                if not chunk:
                    writer.write_eof()
                    return
                writer.write(chunk)
                await writer.drain()
            if not chunk:
                return
