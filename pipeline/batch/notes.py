"""Warnings kept for the report, where a line on the terminal for each of thousands of files would
help nobody."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pipeline.core.log import one_line

_MOST: Final = 20


class _Notes(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < _MOST:
            self.lines.append(one_line(record.getMessage()))


@contextmanager
def noting() -> Iterator[list[str]]:
    """What Eyrie warns of within the block, one line each, 20 at most."""
    notes, logger = _Notes(), logging.getLogger("eyrie")
    logger.addHandler(notes)
    try:
        yield notes.lines
    finally:
        logger.removeHandler(notes)
