"""The networks of one model file: one for each shape that pictures have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from detectors.base import Engine
from detectors.letterbox import Letterbox, Transform
from detectors.yolo_nas.preparation import Preparation
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import AnyArray
from pipeline.core.errors import EngineLoadError, EngineRunError
from pipeline.core.log import get_logger
from pipeline.core.picture import AnyPicture, as_picture

MOST_OPEN: Final = 8
"""Of more shapes, the network that was not asked for longest is dropped."""

USUAL_PX: Final = (1080, 1920)

OpenSized = Callable[[tuple[int, int]], Engine]
"""(height, width) -> an engine with the network brought to that size. Raises `EngineLoadError`."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Network:
    """An engine, and how pictures are prepared for it."""

    engine: Engine
    preparation: Preparation

    @classmethod
    def on(cls, engine: Engine, processing: Processing) -> Network:
        """Of an engine whose input has the size of `processing`."""
        return cls(engine, Preparation(processing, engine.inputs[0]))

    def run(self, pictures: Sequence[AnyPicture]) -> tuple[tuple[AnyArray, ...], list[Transform]]:
        """Boxes and scores of every anchor, and the way back of each picture's boxes."""
        tensor, transforms = self.preparation.batch(pictures)
        return self.engine.run(tensor), transforms


class Networks:
    """Opens a network when the first picture of its shape comes; any thread may ask.

    `engine` has the size of the file. With `open_sized`, the shapes of pictures are followed, see
    `Letterbox.of`, and `warm_up` opens the one for 16:9 in its place, so that no camera of that
    shape has to wait; it is dropped if the first picture has another. Without, the file's is the
    only one.

    Where it `waits`, the network a picture goes into depends on its size alone, so results do not
    depend on what came before. Where not, for cameras, pictures of a new shape go into a network
    that is there, until their own has been opened beside it: nobody's pictures are held up.

    What is dropped ends with the last batch that runs on it.
    """

    def __init__(
        self,
        engine: Engine,
        processing: Processing,
        open_sized: OpenSized | None = None,
        *,
        waits: bool = True,
    ) -> None:
        self._processing, self._open_sized, self._waits = processing, open_sized, waits
        own = processing.letterbox
        self.letterbox: Letterbox = replace(own, follows=open_sized is not None)
        self._own = (own.height, own.width)
        self._guard = threading.Lock()
        self._networks = {self._own: Network.on(engine, processing)}
        self._spare = None if open_sized is None else self._own
        self._warm = 0
        self._opening: dict[tuple[int, int], threading.Thread] = {}
        self._given_up: set[tuple[int, int]] = set()
        """Sizes that could not be opened, and are not tried again."""

    def groups(self, pictures: Sequence[AnyPicture]) -> list[tuple[Network, list[int]]]:
        """Which pictures, by their places, go into which network. Blocks while one is opened.
        Raises `EngineLoadError`."""
        sizes: dict[tuple[int, int], list[int]] = {}
        for place, picture in enumerate(pictures):
            seen = as_picture(picture)
            box = self.letterbox.of(seen.height, seen.width)
            sizes.setdefault((box.height, box.width), []).append(place)
        return [(self._of(size), places) for size, places in sizes.items()]

    def warm_up(self, batch_size: int) -> None:
        """Run an empty batch on each network, also on those that will be opened. Raises
        `EngineRunError` and `EngineLoadError`."""
        self._warm = batch_size
        with self._guard:
            usual = self.letterbox.of(*USUAL_PX)
            if self._spare == self._own != (usual.height, usual.width):
                del self._networks[self._own]
                self._spare = usual.height, usual.width
                self._networks[self._spare] = self._opened(self._spare)
                return
            for network in self._networks.values():
                self._run_empty(network)

    def close(self) -> None:
        """Close all engines. Waits for one that is being opened."""
        with self._guard:
            opening = list(self._opening.values())
        for thread in opening:
            thread.join()
        with self._guard:
            for network in self._networks.values():
                network.engine.close()

    def _of(self, size: tuple[int, int]) -> Network:
        with self._guard:
            if size not in self._networks and not self._waits:
                return self._stand_in(size)
            if size not in self._networks:
                self._drop_spare(size)  # before another is opened: two are more memory
                self._networks[size] = self._opened(size)
            return self._asked(size)

    def _asked(self, size: tuple[int, int]) -> Network:
        """The network of an open size, which is now the last one asked for."""
        self._drop_spare(size)
        network = self._networks[size] = self._networks.pop(size)
        while len(self._networks) > MOST_OPEN:
            self._networks.pop(next(iter(self._networks)))
        return network

    def _drop_spare(self, size: tuple[int, int]) -> None:
        """Drop what was opened on suspicion, now that the first shape is known, unless it is
        that."""
        if self._spare not in (None, size):
            del self._networks[self._spare]
        self._spare = None

    def _stand_in(self, size: tuple[int, int]) -> Network:
        if size not in self._opening and size not in self._given_up:
            thread = threading.Thread(
                target=self._open_beside, args=(size,), name="eyrie network", daemon=True
            )
            self._opening[size] = thread
            thread.start()
        return next(reversed(self._networks.values()))

    def _open_beside(self, size: tuple[int, int]) -> None:
        network, why = None, ""
        try:
            network = self._opened(size)
        except (EngineLoadError, EngineRunError) as error:
            why = str(error)
        except Exception as error:  # told, and the shape is given up
            why = f"unexpected {type(error).__name__}: {error}"
            log.debug("a network of %dx%d pixels", size[1], size[0], exc_info=True)
        if network is None:
            log.warning("pictures go into a network of another shape than theirs: %s", why)
        with self._guard:
            del self._opening[size]
            if network is None:
                self._given_up.add(size)
            else:
                self._networks[size] = network

    def _opened(self, size: tuple[int, int]) -> Network:
        assert self._open_sized is not None
        network = Network.on(self._open_sized(size), self._processing.resized(*size))
        self._run_empty(network)
        log.info("a network of %dx%d pixels, for pictures of this shape", size[1], size[0])
        return network

    def _run_empty(self, network: Network) -> None:
        if self._warm:
            grey = np.full((32, 32, 3), self._processing.letterbox.pad_value, np.uint8)
            network.run([grey] * self._warm)
