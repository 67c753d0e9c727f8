"""A library's line that repeats: once, and then a count."""

import logging

from worker.process.repeated_lines import RepeatedLines


class Log:
    """Keeps the lines that pass, and moves the clock."""

    def __init__(self) -> None:
        self.now_s = 5.0
        self.lines: list[str] = []
        self.filter = RepeatedLines(60.0, lambda: self.now_s)

    def client(self) -> logging.Logger:
        """Return the logger of one more client."""
        logger = logging.Logger("client")  # noqa: LOG001
        logger.addFilter(self.filter)
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        logger.addHandler(handler)
        return logger


def test_the_same_but_for_its_numbers_is_written_once_a_minute_with_how_many_were_left_out() -> None:
    """559 lines of one dead port hid the one that said what to do."""
    log = Log()
    for number in range(100):
        log.client().warning("FAIL [client-%d] refused (after %d ms)", number, 3 * number)
    assert log.lines == ["FAIL [client-0] refused (after 0 ms)"]
    log.now_s += 61
    log.client().warning("FAIL [client-%d] refused (after %d ms)", 100, 7)
    assert log.lines[1:] == ["FAIL [client-100] refused (after 7 ms) (99 like it left out in 61 s)"]


def test_another_text_or_level_is_written_at_once() -> None:
    """The line that says something new must not wait."""
    log = Log()
    client = log.client()
    client.warning("FAIL refused")
    client.error("FAIL refused")
    client.warning("FAIL timed out")
    assert len(log.lines) == 3


def test_what_has_not_come_for_long_comes_again_without_a_count_and_takes_no_memory() -> None:
    """Texts name clients and brokers, without end."""
    log = Log()
    client = log.client()
    for word in ("a", "b", "a"):
        client.warning(word)
    log.now_s += 3_600
    client.warning("c")
    client.warning("a")
    assert log.lines == ["a", "b", "c", "a"]
    assert len(log.filter._written) == 2
