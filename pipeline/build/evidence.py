"""The evidence outlet and each stream's `Pixels` out of the sections `evidence` and `privacy`."""

from collections.abc import Sequence

from pipeline.config import ClipConfig, PipelineConfig, StreamConfig, StreamEvidenceConfig
from pipeline.core.clock import SECOND_NS
from pipeline.core.errors import ConfigError
from pipeline.outlets.evidence import EvidenceOutlet
from pipeline.outlets.pixels import Pixels
from sinks.paths import file_stem
from stages.evidence.keep import Retention
from stages.evidence.recorder import EvidenceRecorder, Wanted
from stages.evidence.ring import PacketRing
from stages.privacy import PrivacyMask, person_classes


def make_evidence_outlet(config: PipelineConfig) -> EvidenceOutlet | None:
    """Make the outlet that writes evidence; nothing is opened. None: the configuration keeps
    none."""
    section = config.evidence
    if section is None:
        return None
    keep = section.keep
    most_bytes = keep.max_mb << 20 if keep.max_mb is not None else None
    longest_s = keep.max_age_h * 3600 if keep.max_age_h is not None else None
    keeper = Retention(section.folder, most_bytes, longest_s)
    return EvidenceOutlet(section.folder, keeper, section.queue_files)


def make_pixels(
    config: PipelineConfig,
    stream: StreamConfig,
    labels: Sequence[str],
    outlet: EvidenceOutlet | None,
) -> Pixels:
    """Make the `Pixels` of a stream, for a detector with these labels. Raises `ConfigError` where
    people are to be hidden and it would not find any."""
    hidden, wanted = config.privacy_of(stream), config.evidence_of(stream)
    privacy = None
    if hidden != "off":
        privacy = PrivacyMask(hidden, _findable_people(config, labels))
    recorder = None
    if outlet is not None and wanted is not None:
        recorder = _recorder(stream.id, wanted, outlet)
    return Pixels(privacy, recorder)


def _findable_people(config: PipelineConfig, labels: Sequence[str]) -> frozenset[int]:
    people = person_classes(labels)
    if not people:
        why = "people cannot be hidden: the model finds none; give one that does, or privacy: off"
        raise ConfigError("privacy", f"{why} ({', '.join(labels[:10])})")
    asked = config.model.classes
    left_out = sorted(labels[c] for c in people if asked is not None and labels[c] not in asked)
    if left_out:
        why = f"leaves out {', '.join(left_out)}, who would not be hidden in any picture: add them"
        raise ConfigError("model.classes", f"{why}, or set privacy: off")
    return people


def _recorder(
    stream_id: str, wanted: StreamEvidenceConfig, outlet: EvidenceOutlet
) -> EvidenceRecorder:
    events = frozenset(wanted.events) if wanted.events is not None else None
    snapshot, ring = wanted.snapshot, None
    if wanted.clip is not None:
        ring = _ring(wanted.clip, outlet)
    if snapshot is None:
        pictures = Wanted(events, crop=False, frame=False)
    else:
        pictures = Wanted(events, snapshot.crop, snapshot.frame, snapshot.margin, snapshot.quality)
    return EvidenceRecorder(file_stem(stream_id), pictures, ring, outlet)


def _ring(clip: ClipConfig, outlet: EvidenceOutlet) -> PacketRing:
    return PacketRing(
        round(clip.before_s * SECOND_NS),
        round(clip.after_s * SECOND_NS),
        clip.buffer_mb << 20,
        clip.most_open,
        outlet.submit,
    )
