"""Put unrelated safe text beside what the user asks: code, quotes, a paste before, after or around it.

The label stays. A banned request stays banned whatever stands beside it, and a safe one stays safe.

Invariant: what the user asked is inside the window that the classifier reads; a row whose request was cut away would
teach it to see what is not there. An addition is always safe text.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from model.windowing import Windowing
from schemas import Role, Turn
from training_pipeline.chats.last_message import last_user, with_last_message

_SNIPPETS: Final = (
    "print('hello')",
    "for i in range(10):\n    print(i)",
    "SELECT name, price FROM items WHERE price > 10;",
    "def add(a, b):\n    return a + b",
    "const total = items.reduce((sum, item) => sum + item.price, 0);",
    "git checkout -b feature\ngit push origin feature",
    '<div class="card"><h2>Title</h2></div>',
    "import pandas as pd\ndf = pd.read_csv('data.csv')\nprint(df.describe())",
    '{"name": "demo", "version": "1.0.0"}',
    "public static void main(String[] args) {\n    System.out.println(args.length);\n}",
    "docker run --rm -p 8080:80 nginx",
    "server {\n  listen 80;\n  root /var/www/html;\n}",
    "x = [n * n for n in numbers if n % 2 == 0]",
    "echo $PATH | tr ':' '\\n'",
    'func main() { fmt.Println("ready") }',
    "=SUM(A1:A10)/COUNT(A1:A10)",
)
"""Code that says nothing; written for this project."""

_LANGUAGES: Final = ("", "python", "js", "sql", "bash", "text")
_KINDS: Final = ("code", "plain", "quoted_lines", "in_quotes")
_KIND_WEIGHTS: Final = (0.35, 0.4, 0.15, 0.1)
_LONGEST_PASTE_CHARACTERS: Final = 2_500
_SHORTEST_PASTE_CHARACTERS: Final = 40


def paste_of(turns: Sequence[Turn]) -> str:
    """Return what a chat offers as a paste for another: its first user message, empty where it is too short."""
    text = next((turn.text for turn in turns if turn.role is Role.USER), "")
    return text if len(text) >= _SHORTEST_PASTE_CHARACTERS else ""


def mixed(turns: list[Turn], pastes: Sequence[str], windowing: Windowing, rng: random.Random) -> list[Turn] | None:
    """Return the chat with unrelated safe text in its last user message.

    Args:
        turns: The chat, oldest first.
        pastes: Safe texts, none of them empty.
        windowing: The window that the request has to stay in.
        rng: Chooses.

    Returns:
        The new turns; None where the request would not stay in the window.
    """
    last = last_user(turns)
    if last is None:
        return None
    span, request = windowing.last_user, turns[last].text.strip()
    addition = _addition(pastes, rng)
    places: list[Callable[[], str]] = []
    if len(request) <= span.head:
        places.append(lambda: f"{request}\n\n{addition}")
    if len(request) <= span.tail:
        places.append(lambda: f"{addition}\n\n{request}")
    room = span.head + span.tail - len(request) - len("  ")
    if room > 2 * _SHORTEST_PASTE_CHARACTERS:
        # Short texts on both sides: all of it fits.
        other = _addition(pastes, rng)
        places.append(lambda: f"{addition[: room // 2]}\n\n{request}\n\n{other[: room // 2]}")
    if not places:
        return None
    return with_last_message(turns, lambda _: rng.choice(places)())


def _addition(pastes: Sequence[str], rng: random.Random) -> str:
    (kind,) = rng.choices(_KINDS, _KIND_WEIGHTS)
    if kind == "code" or not pastes:
        return f"```{rng.choice(_LANGUAGES)}\n{rng.choice(_SNIPPETS)}\n```"
    paste = rng.choice(pastes)[: rng.randint(_SHORTEST_PASTE_CHARACTERS, _LONGEST_PASTE_CHARACTERS)]
    if kind == "quoted_lines":
        return "\n".join(f"> {line}" for line in paste.splitlines())
    return f'"{paste}"' if kind == "in_quotes" else paste
