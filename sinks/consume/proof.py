"""The proof that what was read is complete: nothing missing, nothing twice but for a reason."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, get_args

from pydantic import ValidationError

from pipeline.core.log import one_line
from pipeline.core.messages import Kind, message_id
from sinks.consume.base import Record
from sinks.consume.bodies import read_body
from sinks.consume.glance import Glance, as_json, fingerprint, glance
from sinks.consume.remembered import ById, ByNumber
from sinks.consume.stream_proof import StreamProof

KINDS: Final = frozenset(get_args(Kind))
SAMPLE_EVERY: Final = 100
_MOST_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """The claim to be proved. `runs`, `streams`: of these only, all when empty. `kinds`: the kinds
    that the sink is given. `trimmed`: the oldest may have been deleted. `strict`: validate every
    message, not one of `SAMPLE_EVERY`. `any_order`: messages may come behind later ones."""

    runs: Collection[str] = ()
    streams: Collection[str] = ()
    kinds: frozenset[str] = KINDS
    trimmed: bool = False
    strict: bool = False
    any_order: bool = False


@dataclass(slots=True)
class Proof:
    """The proof over all streams: `take` every record, then ask `complete`. No order of records is
    needed."""

    asked: Asked
    streams: dict[tuple[str, str], StreamProof] = field(default_factory=dict)
    """The proof of each stream, by (run id, stream id)."""
    read: int = 0
    invalid: int = 0
    told: list[str] = field(default_factory=list)
    """The first invalid bodies: where, and why."""
    _by_number: ByNumber = field(default_factory=ByNumber)
    _by_id: ById = field(default_factory=ById)

    def take(self, records: Iterable[Record], dead_letters: bool = False) -> None:
        """Count records of the topic, or bodies of dead letters."""
        for record in records:
            self.read += 1
            try:
                body = as_json(record.body)
                message = glance(body)
                if self.asked.strict or self.read % SAMPLE_EVERY == 1:
                    _validate(body, message)
                self._count(message, body, record, dead_letters)
            except ValueError as error:
                self._refuse(record, error)

    def _count(self, message: Glance, body: bytes, record: Record, dead_letter: bool) -> None:
        asked = self.asked
        run_id, stream_id = message.producer.run_id, message.stream_id
        if (asked.runs and run_id not in asked.runs) or (
            asked.streams and stream_id not in asked.streams
        ):
            return
        stream = self.streams.get((run_id, stream_id))
        if stream is None:
            stream = StreamProof(len(self.streams), run_id, stream_id, asked.any_order)
            self.streams[run_id, stream_id] = stream
        mark = fingerprint(body)
        if message.kind == "frame":
            known = self._by_number.swap(stream.number, message.seq, mark)
        else:
            known = self._by_id.swap(message.message_id, mark)
        if known == 0:
            stream.take(message, dead_letter)
        elif known == mark:
            stream.duplicates += 1
        else:
            stream.conflict(message, record.place)

    def _refuse(self, record: Record, error: ValueError) -> None:
        self.invalid += 1
        if len(self.told) < _MOST_TOLD:
            self.told.append(f"{record.place}: {_why(error)}")

    def holes(self, stream: StreamProof) -> list[str]:
        """The holes of a stream, for people; none where the sink is given no frames."""
        if "frame" not in self.asked.kinds:
            return []
        return [str(hole) for hole in stream.holes(self.asked.trimmed)]

    def faults(self, stream: StreamProof) -> list[str]:
        """The other faults of a stream."""
        begun = stream.known.holes(0, 0) == [] or stream.frames == 0
        return stream.faults(self.asked.kinds, begun or not self.asked.trimmed)

    @property
    def complete(self) -> bool:
        """True if there are messages, and nothing is wrong with them."""
        return (
            self.invalid == 0
            and bool(self.streams)
            and not any(self.holes(one) or self.faults(one) for one in self.streams.values())
        )


def _validate(body: bytes, message: Glance) -> None:
    """Raises `ValueError` for a message off the contract, or a frame message with another id than
    its own."""
    read_body(body)
    if message.kind == "frame":
        parts = message.producer.run_id, message.stream_id, message.epoch, message.seq
        if message.message_id != message_id(*parts, "frame"):
            raise ValueError("message_id is not that of its run, stream, epoch and seq")


def _why(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return one_line(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")
    return one_line(str(error))[:200]
