"""Roboflow's InferencePipeline with custom logic: its decoding threads, buffers and sinks, with the
model in an ONNX Runtime session within `on_video_frame`."""

import threading
from collections.abc import Callable
from typing import Any

from inference import InferencePipeline
from inference.core.interfaces.camera.entities import VideoFrame

from benchmarks.peers.loop import Detector, Found, Job, Times, job, serve

POLL_S = 0.1


def main() -> None:
    said: Job = job()
    detector = Detector(said)

    def detect(batch: list[VideoFrame]) -> list[Found]:
        return detector.detect([frame.image for frame in batch])

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        count, found, times, finished = 0, 0, Times(), threading.Event()

        def take(results: Any, pictures: Any) -> None:
            nonlocal count, found
            alone = not isinstance(pictures, list)
            pairs = [(results, pictures)] if alone else zip(results, pictures, strict=True)
            for result, picture in pairs:
                if picture is None:
                    continue
                count, found = count + 1, found + len(result[0])
                if said["live"]:
                    times.note(picture.source_id or 0, picture.image)
                elif count == said["frames"] * len(said["clips"]):
                    finished.set()

        clips = said["clips"]
        pipeline = InferencePipeline.init_with_custom_logic(
            video_reference=clips if len(clips) > 1 else clips[0],
            on_video_frame=detect,
            on_prediction=take,
            on_pipeline_end=finished.set,
        )
        begin()
        pipeline.start(use_main_thread=False)
        while not finished.wait(POLL_S):
            if said["live"] and times.over:  # it would try for ever to connect again
                break
        told = {"frames": count, "detections": found, "times": times.told}
        pipeline.terminate()
        pipeline.join()
        return told

    serve(work)


if __name__ == "__main__":
    main()
