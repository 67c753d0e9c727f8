"""Run helm or promtool in the version that the tests use, for instance `python -m deploy.go_tools helm lint CHART`.

Exit codes: those of the tool; 2 wrong usage; 3 it cannot be built.
"""

import os
import sys
from typing import Final

from deploy.go_tools import HELM, PROMTOOL, GoToolError, ensure_tool

EXIT_USAGE: Final = 2
EXIT_NOT_BUILT: Final = 3

_TOOLS: Final = {tool.name: tool for tool in (HELM, PROMTOOL)}


def main(arguments: list[str]) -> int:
    """Replace this process by the named tool."""
    # Only in front of the tool's name: behind it help is the tool's.
    if arguments[:1] in (["--help"], ["-h"]):
        print(f"usage: python -m deploy.go_tools {{{','.join(_TOOLS)}}} ARGUMENTS\n\n{__doc__}")  # noqa: T201
        return 0
    if not arguments or arguments[0] not in _TOOLS:
        print(  # noqa: T201
            f"error: found {arguments[:1]}; expected one of {', '.join(_TOOLS)} and its arguments; see --help",
            file=sys.stderr,
        )
        return EXIT_USAGE
    try:
        path = ensure_tool(_TOOLS[arguments[0]])
    except GoToolError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_NOT_BUILT
    os.execv(path, [arguments[0], *arguments[1:]])  # noqa: S606 - no shell is wanted
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
