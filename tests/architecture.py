"""The diagram of docs/architecture.md, made from the imports.

    python -m tests.architecture      # writes the page's diagram anew

A node is a package, a room of the worker, or one of the four parts that stand directly in `worker/`: what puts a
worker together (`app`, `__main__`), what its replays put together in the same way (`wiring`), the words that all of it
shares (`record`, `errors`), and what every batch passes through.
"""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "architecture.md"
_PACKAGES: Final = ("worker", "console", "model", "schemas", "training_pipeline", "loadtest", "testkit", "deploy")
_APP: Final = "worker: start"
_WIRING: Final = "worker: wiring"
_WORDS: Final = "worker: record, errors"
_HALL: Final = "worker: every batch"
_DIAGRAM: Final = re.compile(r"(?<=^```mermaid\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def written() -> str:
    """Return the diagram that the page shows."""
    found = _DIAGRAM.search(PAGE.read_text("utf-8"))
    if found is None:
        raise ValueError(f"{PAGE}: no ```mermaid block; expected one, which this command fills")
    return found.group()


def drawn() -> str:
    """Return the diagram that the imports make."""
    packages = [name for name in _PACKAGES if (ROOT / name / "__init__.py").exists()]
    graph = grimp.build_graph(packages[0], *packages[1:], cache_dir=None)
    pairs = {
        (node_of(importer), node_of(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    return mermaid(without_detours({(importer, imported) for importer, imported in pairs if importer != imported}))


def node_of(module: str) -> str:
    """Return the node in which a module stands."""
    package, _, inner = module.partition(".")
    if package != "worker":
        return package
    first = inner.partition(".")[0]
    if (ROOT / "worker" / first).is_dir() and first:
        return f"worker/{first}"
    parts = {"app": _APP, "__main__": _APP, "wiring": _WIRING, "record": _WORDS, "errors": _WORDS}
    return parts.get(first, _HALL)


def without_detours(arrows: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out an arrow that a longer way says too, one over a node that stands strictly between its two ends."""
    below = _reached(arrows)

    def is_said(importer: str, imported: str) -> bool:
        return any(
            imported in below[between] and importer not in below[between] and between not in below[imported]
            for between in below[importer]
        )

    return {pair for pair in arrows if not is_said(*pair)}


def _reached(arrows: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return what each node imports, directly or by others."""
    below: dict[str, set[str]] = {node: set() for pair in arrows for node in pair}
    for importer, imported in arrows:
        below[importer].add(imported)
    for between, further in below.items():
        for reached in below.values():
            if between in reached:
                reached.update(further)
    return below


def mermaid(arrows: Iterable[tuple[str, str]]) -> str:
    """Return a Mermaid flowchart; two nodes that import each other share one arrow with two heads."""
    shown = set(arrows)
    lines = ["flowchart TD"]
    lines += [f'    {_identifier(node)}["{node}"]' for node in sorted({node for pair in shown for node in pair})]
    for importer, imported in sorted(shown):
        both = (imported, importer) in shown
        if not both or importer < imported:
            lines.append(f"    {_identifier(importer)} {'<-->' if both else '-->'} {_identifier(imported)}")
    return "\n".join(lines) + "\n"


def _identifier(node: str) -> str:
    return re.sub(r"\W+", "_", node)


def main() -> None:
    """Write the diagram into the page."""
    argparse.ArgumentParser(prog="python -m tests.architecture", description=main.__doc__).parse_args()
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page.replace(f"```mermaid\n{written()}", f"```mermaid\n{drawn()}"), encoding="utf-8")


if __name__ == "__main__":
    main()
