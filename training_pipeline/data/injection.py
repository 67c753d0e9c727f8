"""Say whether a chat speaks to its labeller.

The parser keeps an injected answer inside the closed set, but a model may still be talked into a wrong code, and so may
all of them at once. Chats that name labels, give the answer's form or try the prompt's delimiters are therefore never
taken as labelled safe on the word of models: they go to a person, unless they are labelled banned anyway.

Narrow on purpose: "ignore all previous instructions" alone is an ordinary jailbreak (M or L) and not flagged.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from model.windowing import Span, Windowing, render
from schemas import Turn
from schemas.taxonomy import CHAT_13, Taxonomy

_LONG: Final = Span(head=20_000, tail=20_000)
_WHOLE: Final = Windowing(max_messages=64, last_user=_LONG, user=_LONG, other=_LONG)
"""Only for the normal form that `render` gives: zero-width characters and look-alike forms are folded."""

_SPEAKS_TO_LABELLER: Final = r"""
      </?\s*(?:conversation|message)\b[^>\n]{0,80}>                       # our delimiters
    | ["']category["']\s*:\s*["'](?-i:CODES)["']                          # our answer's form
    | \b(?:category|label(?:led)?|classif(?:y|ied|ication))\b[^\n.]{0,60}
      (?:\b(?:is|as|to|be|with|answer|respond|reply|output|return)\b|[:=])\s*["'`(]?(?-i:CODES)["'`)]?(?![\w'])
    | \b(?:answer|respond|reply|output|return|choose|pick|select)\b[^\n.]{0,40}
      \b(?:category|label|code)\s*["'`(]?(?-i:CODES)\b
    | \b(?:labell?er|annotator|classifier|moderat(?:or|ion\ (?:model|system)))\b[^\n]{0,60}
      \b(?:must|should|ignore|note|attention|mark|treat|label|answer|respond|safe)\b
    """
"""Verbose, case ignored but in codes, which stand for CODES."""


@lru_cache(maxsize=8)
def _pattern(codes: tuple[str, ...]) -> re.Pattern[str]:
    # The longest first: of two codes that begin alike the shorter would end inside the longer.
    alternatives = "|".join(re.escape(code) for code in sorted(codes, key=lambda code: (-len(code), code)))
    return re.compile(_SPEAKS_TO_LABELLER.replace("CODES", alternatives), re.VERBOSE | re.IGNORECASE)


def speaks_to_labeller(turns: Sequence[Turn], taxonomy: Taxonomy = CHAT_13) -> bool:
    """Say whether any turn holds text that aims at the label."""
    return _pattern(taxonomy.codes).search(render(turns, _WHOLE)) is not None
