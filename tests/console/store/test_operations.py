"""What the other tests stand on."""

from sqlalchemy import func, select

from console.operations import Operations
from console.service import Service
from console.store.tables import items


def test_operations_of_a_test_have_an_empty_database_and_name_every_topic(operations_on_sqlite: Operations) -> None:
    """Each test begins with nothing."""
    with operations_on_sqlite.store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(items)).scalar() == 0
    assert operations_on_sqlite.worker.kafka.reviews_topic == "verdict-reviews"


def test_a_service_of_a_test_has_its_operations(operating_service: Service) -> None:
    """Pages and routes find them where a real console has them."""
    assert operating_service.operations is not None
    assert operating_service.settings.pipeline.is_on
