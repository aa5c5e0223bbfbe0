"""The part of a message that heat maps and trajectories read, and how their files are written."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

Coordinates = Literal["picture", "plane", "wgs84"]


class PlacePart(msgspec.Struct, gc=False):
    """`pipeline.core.messages.PlanePoint`, as far as it is used."""

    position_m: tuple[float, float]
    speed_m_s: float | None = None


class TrackPart(msgspec.Struct, gc=False):
    """`pipeline.core.messages.Detection`, as far as it is used."""

    label: str
    box: tuple[float, float, float, float]
    track_uid: str | None = None
    plane: PlacePart | None = None

    def place(self, coordinates: Coordinates) -> tuple[float, float] | None:
        """The track's ground anchor, in pixels or in metres; None where it is not known."""
        if coordinates == "picture":
            return (self.box[0] + self.box[2]) / 2, self.box[3]
        return None if self.plane is None else self.plane.position_m


class MessagePart(msgspec.Struct, gc=False):
    """A message of any kind; what its kind has not is as it is here."""

    kind: str
    stream_id: str
    epoch: int = 0
    pts_ns: int = 0
    captured_at: str | None = None
    width: int = 1
    height: int = 1
    detections: tuple[TrackPart, ...] | dict[str, int] = ()
    """The detections of a frame; in an end of stream their numbers by label."""
    track_uid: str | None = None

    @property
    def tracked(self) -> list[tuple[str, TrackPart]]:
        """The detections that have an identity, with it."""
        found = () if isinstance(self.detections, dict) else self.detections
        return [(one.track_uid, one) for one in found if one.track_uid is not None]


_DECODER: Final = msgspec.json.Decoder(MessagePart)


def read_part(body: bytes) -> MessagePart:
    """A message as JSON. Raises `msgspec.MsgspecError` for anything else."""
    return _DECODER.decode(body)


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file, so that at any moment the old or the new one is there, on the disk. Raises
    `OSError`, and leaves nothing behind then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
