"""The sessions of a comparison, each timed in a process of its own over the same rendered texts."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from loadtest.errors import LoadTestError
from loadtest.placement import Placement
from testkit.records import InputRecord

_T = TypeVar("_T")


class Sessions:
    """Starts sessions over texts.

    Args:
        bundle: Bundle folder.
        folder: Where the texts are kept meanwhile.
        n_threads: Threads of each.
        placement: Where they run.
    """

    def __init__(self, bundle: Path, folder: Path, *, n_threads: int, placement: Placement) -> None:
        self._placement = placement
        self._bundle = bundle
        self._texts = folder / "texts.jsonl"
        self._few_texts = folder / "few.jsonl"
        self._chats = folder / "chats.jsonl"
        self._threads = ["--threads", str(n_threads)]

    def render(self, events: Sequence[InputRecord], *, n_padded_chats: int) -> None:
        """Keep the texts that the classifier reads of these events; padded sessions get so many of them.

        Raises:
            LoadTestError: not every event has a text.
        """
        self._chats.write_bytes(b"".join((event.value or b"") + b"\n" for event in events))
        texts = self._output_of("model", ["render", "--jsonl", str(self._chats), "--bundle", str(self._bundle)])
        lines = texts.splitlines()
        if len(lines) != len(events):
            raise LoadTestError(
                f"`python -m model render` printed {len(lines)} texts for {len(events)} chats; expected as many"
            )
        self._texts.write_bytes(texts)
        self._few_texts.write_bytes(b"\n".join(evenly_spaced(lines, n_padded_chats)))

    def in_process(self) -> dict[str, Any]:
        """Time the worker's own classifier over the chats, without a service around it."""
        arguments = ["--events", str(self._chats), "--bundle", str(self._bundle), "--n-threads", self._threads[-1]]
        answer: dict[str, Any] = orjson.loads(self._output_of("loadtest.peers.in_process", arguments))
        return answer

    def bare(self, *, max_padded_tokens: int, max_rows: int) -> dict[str, Any]:
        """Time the bundle's tokenizer and session, batches sorted by length."""
        limits = ["--max-padded-tokens", str(max_padded_tokens), "--max-rows", str(max_rows)]
        texts = ["--texts", str(self._texts), "--bundle", str(self._bundle)]
        return self._answer("bare-session", [*texts, *self._threads, *limits])

    def own_padded(self) -> dict[str, Any]:
        """Time the bundle as the reference is run: padded to its longest row, one chat at a time."""
        manifest = orjson.loads((self._bundle / "manifest.json").read_bytes())
        return self.padded(self._bundle / "model.onnx", n_tokens=int(manifest["windowing"]["max_tokens"]))

    def padded(self, model: Path, *, n_tokens: int) -> dict[str, Any]:
        """Time a model with every chat padded to one width, one at a time."""
        texts = ["--texts", str(self._few_texts), "--tokenizer", str(self._bundle / "tokenizer.json")]
        width = ["--model", str(model), "--tokens", str(n_tokens)]
        return self._answer("padded-session", [*texts, *self._threads, *width])

    def _answer(self, command: str, arguments: Sequence[str]) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self._output_of("loadtest", [command, *arguments]))
        return answer

    def _output_of(self, module: str, arguments: Sequence[str]) -> bytes:
        command = [sys.executable, "-m", module, *arguments]
        with self._placement.measured():
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603  our own command lines
        if done.returncode:
            raise LoadTestError(
                f"`python -m {module} {arguments[0]}` ended with exit code {done.returncode}; see its error above"
            )
        return done.stdout


def evenly_spaced(items: Sequence[_T], n_items: int) -> list[_T]:
    """Return at most so many of the items, in their order, from all over it."""
    step = max(1.0, len(items) / n_items)
    return [items[int(i * step)] for i in range(min(n_items, len(items)))]
