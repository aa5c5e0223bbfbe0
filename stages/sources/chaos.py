"""Faults on purpose: any source with losses, damage, stalls, wrong times and disconnects."""

import random
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from math import exp
from typing import Final, Literal

from pipeline.core.clock import SECOND_NS
from pipeline.core.errors import SourceUnavailable
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger
from pipeline.core.picture import Picture, RgbPicture
from stages.base import Counts, Source, Times
from stages.sources.timing import MediaTime

log = get_logger(__name__)

Fault = Literal["loss", "corruption", "bad_pts", "stall", "disconnect", "refusal"]
_STEP_BACK_NS: Final = SECOND_NS // 2
_FAR_NS: Final = 7200 * SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosSettings:
    """The faults to make, and how often. `loss`, `corruption` and `bad_pts` are probabilities for a
    picture; the rates are for a minute of media time. `storm`: a disconnect is followed by up to so
    many refused connections, each number as likely as the others."""

    seed: int = 0
    loss: float = 0.0
    corruption: float = 0.0
    bad_pts: float = 0.0
    stalls_per_min: float = 0.0
    stall_s: float = 5.0
    disconnects_per_min: float = 0.0
    storm: int = 0


class Chaos:
    """The faults of one stream, over all its connections.

    The same seed, stream id and pictures give the same faults. Each fault draws from numbers of its
    own, so changing one probability moves no other fault. `totals` is what was done so far.
    """

    def __init__(self, stream_id: str, settings: ChaosSettings) -> None:
        self.stream_id, self.settings = stream_id, settings
        self._guard = threading.Lock()
        self._done: Counter[str] = Counter()
        self._connections = self._refusals_left = 0
        rates = {name: getattr(settings, name) for name in ChaosSettings.__dataclass_fields__}
        told = ", ".join(f"{name} {value:g}" for name, value in rates.items())
        log.warning("stream %r: chaos is on, its faults are made on purpose: %s", stream_id, told)

    @property
    def totals(self) -> dict[str, int]:
        """The faults so far, by kind."""
        with self._guard:
            return dict(self._done)

    def wrap(self, source: Source, *, pass_corrupt: bool = False) -> "ChaosSource":
        """Wrap the next connection, with its faults; `pass_corrupt`: damaged pictures are given."""
        with self._guard:
            number, self._connections = self._connections, self._connections + 1
            refused = self._refusals_left > 0
            self._refusals_left -= refused
        return ChaosSource(source, self, number, refused=refused, pass_corrupt=pass_corrupt)

    def note(self, fault: Fault) -> None:
        """Count a fault that was done."""
        with self._guard:
            self._done[fault] += 1
        log.debug("stream %r: chaos: %s", self.stream_id, fault)

    def begin_storm(self, refusals: int) -> None:
        """Refuse the next `refusals` connections."""
        with self._guard:
            self._refusals_left = refusals


class ChaosSource:
    """One connection with faults, as a `Source`.

    - loss: the picture never came. It takes no `seq`; the ones behind it move up.
    - corruption: as a damaged picture: takes a `seq`, is counted, and not given; with
      `pass_corrupt`, its lower part is smeared and it is given.
    - bad_pts: the timestamp is missing, repeated, half a second back, two hours off, or all that
      follow are shifted by two hours. `MediaTime` repairs them as it does those of real streams, so
      `pts_ns` still ascends in an epoch, and a shift is an epoch of its own.
    - stall: nothing for `stall_s`. `close` ends it.
    - disconnect: `SourceUnavailable`; refusal: the same, before the first picture.

    Faults befall the pictures that the source gives: behind its decoder and its frame rate.
    """

    def __init__(
        self, inner: Source, chaos: Chaos, number: int, *, refused: bool, pass_corrupt: bool
    ) -> None:
        self.live = inner.live
        self.frame_count: int | None = None
        self._inner, self._chaos, self._refused = inner, chaos, refused
        self._pass_corrupt = pass_corrupt
        self._settings = chaos.settings
        seed = f"{chaos.settings.seed}/{chaos.stream_id}/{number}"
        self._random = {fault: random.Random(f"{seed}/{fault}") for fault in _DRAWN}
        self._stopped = threading.Event()
        self._absent = self._corrupt = self._withheld = 0
        self._last_ns: int | None = None
        self._warp = _Warp(self._random["bad_pts"])

    @property
    def counts(self) -> Counts:
        """The counts of the source, as changed by the faults."""
        counts, times = self._inner.counts, self._warp.times
        return replace(
            counts,
            decoded_total=counts.decoded_total - self._absent,
            withheld_total=counts.withheld_total + self._withheld,
            corrupt_total=counts.corrupt_total + self._corrupt,
            times=replace(
                counts.times,
                repaired_total=counts.times.repaired_total + times.repaired_total,
                jumps_total=counts.times.jumps_total + times.jumps_total,
            ),
            chaos=self._chaos.totals,
        )

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        if self._refused:
            self._chaos.note("refusal")
            raise self._unavailable("chaos: connection refused")
        pictures = self._inner.frames()
        try:
            for frame in pictures:
                self.frame_count = self._inner.frame_count
                given = self._befall(frame)
                if given is not None:
                    yield given
        finally:
            if isinstance(pictures, Generator):
                pictures.close()  # an error would keep it, and with it the connection
            log.info("stream %r: chaos so far: %s", self._chaos.stream_id, self._told())

    def close(self) -> None:
        """See `Source.close`."""
        self._stopped.set()
        self._inner.close()

    def _befall(self, frame: Frame) -> Frame | None:
        """The picture with what befell it; None: it is not given."""
        step_min = self._step_min(frame)
        if self._happens("disconnect", _chance(self._settings.disconnects_per_min, step_min)):
            self._absent += 1
            self._chaos.begin_storm(self._random["disconnect"].randint(0, self._settings.storm))
            raise self._unavailable("chaos: disconnected")
        stalls = self._happens("stall", _chance(self._settings.stalls_per_min, step_min))
        if stalls and self._stalled():
            return None
        if self._happens("loss", self._settings.loss):
            self._absent += 1
            return None
        picture = frame.picture
        if self._happens("corruption", self._settings.corruption):
            self._corrupt += 1
            if not self._pass_corrupt:
                self._withheld += 1
                return None
            picture = _smeared(picture, self._random["corruption"])
        return self._retimed(frame, picture)

    def _stalled(self) -> bool:
        """Wait. True: the source was closed meanwhile, and its picture never came."""
        self._absent += 1  # right for whoever looks while it hangs
        if self._stopped.wait(self._settings.stall_s):
            return True
        self._absent -= 1
        return False

    def _step_min(self, frame: Frame) -> float:
        """Media time since the picture before, in minutes; a new epoch has none."""
        pts_ns, before_ns = frame.info.pts_ns, self._last_ns
        self._last_ns = pts_ns
        return 0.0 if before_ns is None else max(pts_ns - before_ns, 0) / (60 * SECOND_NS)

    def _happens(self, fault: Fault, probability: float) -> bool:
        happens = self._random[fault].random() < probability
        if happens:
            self._chaos.note(fault)
        return happens

    def _retimed(self, frame: Frame, picture: Picture) -> Frame:
        info = frame.info
        pts_ns, epoch = info.pts_ns, info.epoch
        if self._settings.bad_pts:
            bad = self._happens("bad_pts", self._settings.bad_pts)
            pts_ns, jumps = self._warp.next(epoch, pts_ns, bad=bad)
            epoch += jumps
        info = replace(info, seq=info.seq - self._absent, pts_ns=pts_ns, epoch=epoch)
        return Frame(info, picture)

    def _unavailable(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(self._chaos.stream_id, why)

    def _told(self) -> str:
        totals = sorted(self._chaos.totals.items())
        return ", ".join(f"{fault} {number}" for fault, number in totals) or "no fault"


_DRAWN: Final[tuple[Fault, ...]] = ("loss", "corruption", "bad_pts", "stall", "disconnect")


class _Warp:
    """Spoils timestamps, and repairs them as for a real stream."""

    def __init__(self, rng: random.Random) -> None:
        self.times = Times()
        self._random = rng
        self._time: MediaTime | None = None
        self._epoch = self._last_ns = self._shift_ns = 0

    def next(self, epoch: int, pts_ns: int, *, bad: bool) -> tuple[int, int]:
        """Time of the next picture of the source's `epoch`, and jumps so far."""
        if self._time is None or epoch != self._epoch:
            self._time, self._epoch = MediaTime(SECOND_NS // 25, times=self.times), epoch
        spoilt = self._spoil(pts_ns) if bad else pts_ns + self._shift_ns
        step_ns, self._last_ns = pts_ns - self._last_ns, pts_ns
        stamp = self._time.next(spoilt, step_ns)
        return stamp.pts_ns, stamp.jumps

    def _spoil(self, pts_ns: int) -> int | None:
        match self._random.randrange(5):
            case 0:
                return None
            case 1:
                return self._last_ns + self._shift_ns
            case 2:
                return pts_ns + self._shift_ns - _STEP_BACK_NS
            case 3:
                return pts_ns + self._shift_ns + _FAR_NS
            case _:
                self._shift_ns += _FAR_NS
                return pts_ns + self._shift_ns


def _chance(per_min: float, minutes: float) -> float:
    """The chance of at least one event of a Poisson process within `minutes`."""
    return 1.0 - exp(-per_min * minutes)


def _smeared(picture: Picture, rng: random.Random) -> Picture:
    """From a random row on, that row only, as decoders conceal a lost slice."""
    damaged = picture.rgb().copy()
    row = rng.randrange(len(damaged))
    damaged[row:] = damaged[row]
    return RgbPicture(damaged)
