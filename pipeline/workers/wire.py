"""The records that the two processes send each other over sockets: tiny ones, one a packet.

Both ends are this very program under this very user, so records are pickled: whoever has taken over
a decoder has the rights of the main process already. The bytes of pictures never come here.
"""

import errno
import io
import os
import pickle
import socket
import threading
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import numpy as np

from pipeline.core import errors
from pipeline.core.detections import Detections
from pipeline.core.errors import DecodeError, SourceError
from pipeline.core.frame import FrameInfo
from pipeline.workers.layout import Layout, Wanted
from stages.base import Counts, Decoder, Source, Times

MOST_BYTES: Final = 64 * 1024
"""The most bytes of a packet; what could be longer is cut before it is sent."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order to a worker, with one end of a socket: read this source, and say there what comes.

    `source` is the pickled source, just made: it has everything and has opened nothing. `skip`
    frames were had from a worker that died.
    """

    source: bytes
    wanted: Wanted
    slots: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class DetectOrder:
    """An order to a worker, with one end of a socket: open a detector, and do there what is asked.

    `make` is a pickled function that opens it. A worker has one, for all such orders.
    """

    make: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The detector of a worker is open."""


@dataclass(frozen=True, slots=True)
class Request:
    """A batch to detect in: the numbers of a memory and of its slot for each picture.

    Before a memory is first asked for, its `NewMemory` and its descriptor come in two packets.
    `forget` are memories that no request names any more. The answer is a packet for each picture,
    see `found_record`, or a single one with an error.
    """

    places: tuple[tuple[int, int], ...]
    forget: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The worker has the order: it is alive."""


@dataclass(frozen=True, slots=True)
class NewMemory:
    """The next packet brings the memory of all slots from now on, in the form that `layout` is.
    `number` is its number in the main process, which only a detector is told."""

    layout: Layout
    slots: int
    slot_bytes: int
    number: int = -1


@dataclass(frozen=True, slots=True)
class Over:
    """The end: nothing more will come. `error` (class, why) says why; None: it just ended."""

    counts: tuple[Any, ...]
    error: tuple[str, str] | None


_INFO: Final = tuple(field.name for field in fields(FrameInfo))
_COUNTS: Final = tuple(
    field.name
    for field in fields(Counts)
    if field.name not in ("times", "decoder", "thinned_total")
)
_info_values = attrgetter(*_INFO)
_count_values = attrgetter(*_COUNTS)
_time_values = attrgetter(*(field.name for field in fields(Times)))
_ERRORS: Final = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SourceError)
}


def pack(record: object) -> bytes:
    """Pack a record, or a plain tuple of values, into a packet."""
    return pickle.dumps(record, pickle.HIGHEST_PROTOCOL)


def unpack(packet: bytes | memoryview) -> Any:
    """Unpack a packet. For packets of the own workers only."""
    return pickle.loads(packet)  # noqa: S301 - from a process that this one started


def send_order(
    control: socket.socket, order: Order | DetectOrder, connection: socket.socket
) -> None:
    """Send a worker an order, and the connection on which to say what comes of it. In memory of its
    own, for a source may be larger than a packet. Raises `ConnectionError` if it is dead."""
    fd = os.memfd_create("eyrie order")
    with os.fdopen(fd, "wb") as file:
        file.write(pack(order))
        file.flush()
        socket.send_fds(control, [b"order"], [connection.fileno(), fd])


def receive_order(
    control: socket.socket,
) -> tuple[Order | DetectOrder, socket.socket] | None:
    """Receive the next order and its connection; None: the main process has hung up. Raises
    `OSError` for an order that is lost, as this process may open no more files."""
    packet, fds, _, _ = socket.recv_fds(control, MOST_BYTES, 2)
    if not packet:
        return None
    if len(fds) != 2:
        for fd in fds:
            os.close(fd)
        raise OSError(errno.EMFILE, "an order came without its files: too many are open")
    connection, memory = fds
    with os.fdopen(memory, "rb") as file:
        file.seek(0)
        return unpack(file.read()), socket.socket(fileno=connection)


def pack_source(source: Source) -> bytes:
    """Pack a source that was just made and has begun nothing. Raises `TypeError`, `PicklingError`
    or `AttributeError` for one that holds what stays in this process, such as a function."""
    packed = io.BytesIO()
    _SourcePickler(packed, pickle.HIGHEST_PROTOCOL).dump(source)
    return packed.getvalue()


class _SourcePickler(pickle.Pickler):
    """A flag that nobody has set yet is a new flag there."""

    def reducer_override(self, thing: Any) -> Any:
        return (threading.Event, ()) if isinstance(thing, threading.Event) else NotImplemented


def frame_record(slot: int, info: FrameInfo, source: Source, thinned: int) -> bytes:
    """Pack a frame in a slot, with the account of its source as of now: on the hot path, so values
    without names."""
    counts = counts_record(source.counts, thinned)
    return pack((slot, _info_values(info), counts, source.frame_count))


def info_of(values: tuple[Any, ...]) -> FrameInfo:
    """The `FrameInfo` out of a frame's record."""
    return FrameInfo(**dict(zip(_INFO, values, strict=True)))


def counts_record(counts: Counts, thinned: int = 0) -> tuple[Any, ...]:
    """Pack an account as values, with the frames left out behind the source."""
    decoder = counts.decoder
    said = None if decoder is None else (decoder.asked, decoder.used, decoder.why)
    return ((*_count_values(counts), thinned), _time_values(counts.times), said)


def decoded_in(record: tuple[Any, ...]) -> int:
    """`Counts.decoded_total` of an account as values."""
    return int(record[0][0])


def thinned_in(record: tuple[Any, ...]) -> int:
    """`Counts.thinned_total` of an account as values."""
    return int(record[0][-1])


@lru_cache(maxsize=64)
def _decoder(said: tuple[Any, ...] | None) -> Decoder | None:
    """The same object while nothing changes, for it is told when it is another one."""
    return None if said is None else Decoder(*said)


def counts_of(record: tuple[Any, ...]) -> Counts:
    """An account out of its values."""
    (*values, thinned), times, said = record
    decoder = _decoder(said)
    plain = dict(zip(_COUNTS, values, strict=True))
    return Counts(**plain, thinned_total=thinned, decoder=decoder, times=Times(*times))


def error_record(error: SourceError) -> tuple[str, str]:
    """Pack a failure as its class and its text."""
    return type(error).__name__, error.why


def error_of(stream_id: str, record: tuple[str, str]) -> SourceError:
    """The other way."""
    kind, why = record
    return _ERRORS.get(kind, DecodeError)(stream_id, why)


def send_memory(connection: socket.socket, news: NewMemory, fd: int) -> None:
    """Send the memory of slots. Raises `OSError` if nobody listens."""
    connection.send(pack(news))
    socket.send_fds(connection, [b"\0"], [fd])


def receive_fd(connection: socket.socket) -> int:
    """Receive the descriptor behind a `NewMemory`. Raises `ConnectionError` when none comes: the
    other side has died in between, or this one may open no more files."""
    _, fds, _, _ = socket.recv_fds(connection, 1, 1)
    if not fds:
        raise ConnectionResetError("no memory has come")
    return fds[0]


_BOX_BYTES, _LONGEST_WHY = 24, 4000
_FOUND, _FAILED = b"fnd\0", b"err\0"


def found_record(found: Detections) -> bytes:
    """Pack the detections of one picture, as they lie in memory."""
    arrays = (found.xyxy, found.score, found.class_id)
    return b"".join((_FOUND, *(array.tobytes() for array in arrays)))


def failed_record(why: str) -> bytes:
    """Pack why a batch could not be detected in."""
    return _FAILED + why[:_LONGEST_WHY].encode()


def is_failure(packet: bytes) -> bool:
    """True for a `failed_record`."""
    return packet.startswith(_FAILED)


def found_of(packet: bytes) -> Detections | str:
    """The detections in a packet, in arrays of their own; or why there are none."""
    tag, content = packet[: len(_FOUND)], packet[len(_FOUND) :]
    if tag != _FOUND:
        return content.decode()
    count = len(content) // _BOX_BYTES
    own = bytearray(content)
    xyxy = np.frombuffer(own, np.float32, 4 * count).reshape(count, 4)
    score = np.frombuffer(own, np.float32, count, 16 * count)
    return Detections(xyxy, score, np.frombuffer(own, np.int32, count, 20 * count))
