"""The operations that tests of the database share."""

from tests.console.operations import operating_service, operations_on_sqlite

__all__ = ["operating_service", "operations_on_sqlite"]
