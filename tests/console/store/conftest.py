"""The databases on which the same tests run, and the operations that tests of the database share."""

from tests.console.databases import open_one, store, url
from tests.console.operations import operating_service, operations_on_sqlite

__all__ = ["open_one", "operating_service", "operations_on_sqlite", "store", "url"]
