"""A worker process: one detector, one file after the other, until there is no more or it dies.

It holds nothing that matters: its parts are thrown away if it dies, and it dies with its
coordinator.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from detectors.base import Detector
from pipeline.batch.notes import noting
from pipeline.batch.result import Broken, CannotWrite, Job, Ready
from pipeline.batch.settings import Identity, Settings
from pipeline.config import PipelineConfig
from pipeline.core.errors import EyrieError
from pipeline.core.log import one_line
from pipeline.memory import share_one_heap
from pipeline.processes import die_with_parent

MakeDetector = Callable[[PipelineConfig], Detector]
"""Must be a function of a module, for it is called in a process of its own."""


def make_batch_detector(config: PipelineConfig) -> Detector:
    """The configured model, ready for batches of one, whatever `batch.size` says. Raises
    `EngineLoadError`."""
    from pipeline.build import (
        detector as open_detector,  # here and below: the coordinator detects nothing
    )

    options = replace(
        open_detector.engine_options(config), max_batch=1, hint=config.model.hint or "latency"
    )
    detector = open_detector.make_run_detector(config, options)
    detector.warm_up(1)
    return detector


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told once."""

    settings: Settings
    make_detector: MakeDetector
    coordinator_pid: int


def work(connection: Connection, orders: Orders) -> None:
    """The life of a worker process: load the model, say `Ready`, then a `Result` for every `Job`,
    until None comes. What it cannot go on with, it says as `Broken`, and ends."""
    die_with_parent(orders.coordinator_pid)
    share_one_heap()
    # what a file's source or tracker warns of is noted by `analyse`, and told in the report
    logging.getLogger("eyrie").addHandler(logging.NullHandler())
    try:
        with noting() as notes:
            detector = orders.make_detector(orders.settings.template)
    except EyrieError as error:
        connection.send(Broken(str(error), fatal=True))
        return
    try:
        identity = orders.settings.identity(detector)
        connection.send(Ready(identity, tuple(notes)))
        _serve(connection, orders.settings, identity, detector)
    except CannotWrite as error:
        connection.send(Broken(str(error), fatal=True))
    except EyrieError as error:
        connection.send(Broken(str(error), fatal=False))
    except (EOFError, ConnectionError):
        return  # the coordinator is gone
    except Exception as error:  # noqa: BLE001 - told, and the process ends
        what = one_line(f"unexpected {type(error).__name__}: {error}")
        connection.send(Broken(what, fatal=False))
    finally:
        detector.close()


def _serve(
    connection: Connection, settings: Settings, identity: Identity, detector: Detector
) -> None:
    from pipeline.batch.analyse import analyse

    while True:
        job: Job | None = connection.recv()
        if job is None:
            return
        connection.send(analyse(job, settings, identity, detector, connection.send))
