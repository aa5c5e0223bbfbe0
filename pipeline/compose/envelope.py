"""The common part of one stream's messages: envelopes, ids, counts by kind."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from pipeline.core.clock import Clock, utc_datetime
from pipeline.core.frame_record import encode_producer
from pipeline.core.messages import Kind, Producer, message_id, track_uid


class Envelope(TypedDict):
    """The fields that every message has."""

    message_id: str
    stream_id: str
    epoch: int
    seq: int
    published_at: datetime
    producer: Producer


class Envelopes:
    """The maker of the envelopes of one stream's messages; `told` counts them by kind."""

    def __init__(
        self, stream_id: str, producer: Producer, labels: Sequence[str], clock: Clock
    ) -> None:
        self.stream_id, self.run_id = stream_id, producer.run_id
        self.labels, self.clock = labels, clock
        self.encoded_producer = encode_producer(producer)
        self.told: Counter[Kind] = Counter()
        self._producer = producer

    def envelope(self, kind: Kind, epoch: int, seq: int, sub: str = "") -> Envelope:
        """The envelope of one more message; `sub` tells apart those of a kind at one frame."""
        self.told[kind] += 1
        return {
            "message_id": message_id(self.run_id, self.stream_id, epoch, seq, kind, sub),
            "stream_id": self.stream_id,
            "epoch": epoch,
            "seq": seq,
            "published_at": utc_datetime(self.clock.utc_ns()),
            "producer": self._producer,
        }

    def event_id(self, epoch: int, sub: str) -> str:
        """The id of an event, the same in all its messages."""
        return message_id(self.run_id, self.stream_id, epoch, 0, "event", sub)

    def uid(self, track_id: int) -> str:
        """The id of a track that no other track of any stream or run has."""
        return track_uid(self.run_id, self.stream_id, track_id)
