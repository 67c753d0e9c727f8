"""The databases on which the same tests run."""

from tests.console.databases import open_one, store, url

__all__ = ["open_one", "store", "url"]
