"""Jobs of evidence to files. A file has its name only when it is whole."""

import errno
import io
import os
import shutil
from pathlib import Path

import av
import cv2

from stages.evidence.base import ClipJob, Job, SnapshotJob


def write(folder: Path, job: Job) -> int:
    """Write the file of a job, in place of one of that name. Returns its size in bytes.

    Blocks on the disk. Raises OSError where it cannot be written, and `ValueError` for a clip that
    cannot be made into MP4.
    """
    target = folder / job.path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(part_name(target.name))
    try:
        match job:
            case SnapshotJob():
                _write_snapshot(part, job)
            case ClipJob():
                _write_clip(part, job)
        size_bytes = part.stat().st_size
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size_bytes


def part_name(name: str) -> str:
    """The name of a file until it is whole."""
    return f".{name}.part"


def _write_snapshot(part: Path, job: SnapshotJob) -> None:
    bgr = cv2.cvtColor(job.image, cv2.COLOR_RGB2BGR)
    encoded, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, job.quality])
    if not encoded:
        raise ValueError(f"no JPEG can be made of {job.image.shape[1]}x{job.image.shape[0]} pixels")
    part.write_bytes(jpeg.tobytes())


def _write_clip(part: Path, job: ClipJob) -> None:
    """The packets as they are; their times begin at 0, which players expect."""
    if not job.packets:
        raise ValueError("its video was lost before it began")
    # a file whose header cannot be written is never closed by libav: one descriptor lost for each
    if shutil.disk_usage(part.parent).free < job.size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))
    header, start = job.header, job.packets[0].dts
    try:
        with (
            av.open(io.BytesIO(header.parameters)) as parameters,
            av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as container,
        ):
            stream = container.add_stream_from_template(parameters.streams.video[0])
            stream.time_base = header.time_base
            if header.annex_b:
                stream.codec_context.extradata = header.annex_b
            last = -1
            for kept in job.packets:
                packet = av.Packet(kept.data)
                packet.stream, packet.time_base = stream, header.time_base
                packet.dts = last = max(kept.dts - start, last + 1)
                packet.pts = max(kept.pts - start, last)
                packet.duration = kept.duration
                packet.is_keyframe = kept.is_key
                container.mux_one(packet)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise ValueError(f"{header.codec} cannot be put into MP4: {error.strerror}") from error
