"""Screens of what a model wrote, before anything else reads it: keys, personal data, and text that aims at the label.

Invariant: no row holds a text that a screen found a key in, and personal data that `pii` finds is masked. A chat that
speaks to its labeller is kept only where its category is banned anyway, as `agree` has it (see `rows`).
"""

import re
from collections import Counter
from typing import Final

from training_pipeline.data.pii import PiiMasker
from training_pipeline.synthesise.written_chat import Messages

_SECRET: Final = re.compile(
    r"""
      -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                                      # cloud access key ids
    | \bgh[pousr]_[A-Za-z0-9]{36,}\b                                     # code hosts
    | \bglpat-[A-Za-z0-9_-]{20,}\b
    | \bsk-[A-Za-z0-9_-]{20,}                                            # model endpoints
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                                     # chat bots
    | \bAIza[0-9A-Za-z_-]{35}\b
    | \beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,} # signed tokens
    | \b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]{6,}@                       # a password in an address
    """,
    re.VERBOSE,
)


def holds_a_secret(messages: Messages) -> bool:
    """Say whether a message holds what looks like a key, a token or a password in an address."""
    return any(_SECRET.search(message["content"]) for message in messages)


def masked(messages: Messages, masker: PiiMasker, found: Counter[str]) -> Messages:
    """Return the messages with e-mail addresses and numbers of accounts, phones and machines masked; count them."""
    return [message | {"content": masker.mask(message["content"], found)} for message in messages]
