"""Pictures out of the decoder, with as many threads as a file source has; nothing made of them."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av

from pipeline.bench.job import Job
from pipeline.build.streams import MOST_DECODER_THREADS
from stages.sources.decode import pick_video


def load(job: Job) -> tuple[Callable[[Callable[[], None]], dict[str, Any]], dict[str, Any]]:
    """A round decodes all clips at the same time, a thread for each."""
    threads = decoder_threads(job)

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        begin()
        with ThreadPoolExecutor(len(job.clips)) as pool:
            taken = pool.map(lambda clip: _decoded(clip, job.frames, threads), job.clips)
            return {"frames": sum(taken)}

    return work, {"av": av.__version__}


def decoder_threads(job: Job) -> int:
    """The decoder's threads for each clip, as the pipeline has them."""
    cores = len(os.sched_getaffinity(0))
    return min(max(cores // len(job.clips), 1), MOST_DECODER_THREADS)


def _decoded(clip: str, frames: int, threads: int) -> int:
    count = 0
    with av.open(clip) as container:
        stream = pick_video("decode", container, clip)
        stream.thread_type = "AUTO" if threads > 1 else "SLICE"
        stream.thread_count = threads
        for _ in container.decode(stream):
            count += 1
            if count == frames:
                break
    return count
