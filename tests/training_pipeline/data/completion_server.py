"""A chat-completions endpoint on loopback that answers as a test tells it to, misbehaviour included."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

Prompt = str


class Answer(NamedTuple):
    """What the endpoint does with one request."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    cut_after_bytes: int | None = None
    """Close the connection after so much of the body."""
    hangs: bool = False
    """Answer only once the server is closed."""


Script = Callable[[Prompt, int], Answer]
"""From the user message, and how often it came before, to what the endpoint does."""


def completion(content: str | None, **changes: Any) -> Answer:
    """Answer with a well-formed chat completion; `changes` are laid over its choice."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}} | changes
    document = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "fake-2026-01-01",
        "choices": [choice],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020},
    }
    return Answer(body=json.dumps(document).encode())


def label(category: str, confidence: int = 3, runner_up: str = "-", **changes: Any) -> Answer:
    """Answer with a label."""
    text = json.dumps({"category": category, "confidence": confidence, "runner_up": runner_up})
    return completion(text, **changes)


def error(status: int, *, code: str | None = None, **headers: str) -> Answer:
    """Answer with an error as the API describes it."""
    body = json.dumps({"error": {"message": "no", "type": "error", "param": None, "code": code}}).encode()
    return Answer(status, body, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


class CompletionServer:
    """The endpoint; a context manager.

    Args:
        script: What it does.

    Attributes:
        requests: Every request body, in order of arrival.
        authorisations: The Authorization header of each.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.authorisations: list[str | None] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._seen: dict[str, int] = {}
        self.n_in_flight = self.n_most_in_flight = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                owner.handle(self)

            def log_message(self, *_: object) -> None:
                """Keep test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def base_url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        prompt = request["messages"][-1]["content"]
        with self._lock:
            self.requests.append(request)
            self.authorisations.append(handler.headers.get("authorization"))
            n_before = self._seen.get(prompt, 0)
            self._seen[prompt] = n_before + 1
            self.n_in_flight += 1
            self.n_most_in_flight = max(self.n_most_in_flight, self.n_in_flight)
        answer = self.script(prompt, n_before)
        if answer.hangs:
            self._closing.wait(30)
        with self._lock:
            self.n_in_flight -= 1
        handler.send_response(answer.status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(answer.body)))
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body[: answer.cut_after_bytes])
        handler.close_connection = True
