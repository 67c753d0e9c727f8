"""Version numbers of policies, taxonomies and bundles."""

from typing import Annotated

from pydantic import StringConstraints

DottedVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
"""Dotted numbers, compared number by number (1.10 is newer than 1.9)."""
