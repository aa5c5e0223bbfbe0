"""What a connection leaves behind: nothing that waits for the garbage collector."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from pipeline.core.clock import SystemClock
from pipeline.core.errors import SourceUnavailable
from pipeline.core.frame import Frame
from pipeline.stream.connection import Connection
from stages.base import Counts


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Decoder:
    """Stands for a decoder and its pictures."""


class FailingSource:
    """Holds a decoder while it decodes, and fails as sources do: with a cause."""

    live = True
    frame_count: int | None = None

    def __init__(self) -> None:
        self.counts = Counts()
        self.decoder: weakref.ref[Decoder] | None = None

    def frames(self) -> Iterator[Frame]:
        decoder = Decoder()
        self.decoder = weakref.ref(decoder)
        try:
            yield from ()
            raise OSError("gone")
        except OSError as error:
            failure = SourceUnavailable("gate", "the camera closed the connection")
            raise failure from error

    def close(self) -> None:
        pass


@pytest.mark.usefixtures("no_collector")
def test_a_failure_does_not_hold_the_decoder() -> None:
    source = FailingSource()
    connection = Connection("gate", lambda: source, lambda *_: True, None, SystemClock())
    connection.run()
    assert str(connection.failure) == "stream 'gate': the camera closed the connection"
    assert source.decoder is not None
    assert source.decoder() is None
