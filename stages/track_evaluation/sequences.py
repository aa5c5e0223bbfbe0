"""Where the files of sequences are, in the layout of MOT Challenge or one by one.

ROOT/SEQ/gt/gt.txt    ROOT/SEQ/det/det.txt    ROOT/SEQ/seqinfo.ini
"""

import configparser
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import ConfigError
from stages.track_evaluation.mot_files import LONGEST_FRAMES

USUAL_FPS = 30.0


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence. `fps` and `frames` are what `seqinfo.ini` says, None where it does not."""

    name: str
    truth: Path
    fps: float | None = None
    frames: int | None = None


def find_sequences(truth: Path) -> list[Sequence]:
    """`truth` is a file, the folder of a sequence, or a folder of such, by name. Raises
    `ConfigError` where there is none."""
    if truth.is_file():
        inside = truth.parent.name == "gt"
        folder = truth.parent.parent if inside else truth.parent
        return [_sequence(folder.resolve().name if inside else truth.stem, truth, folder)]
    if not truth.is_dir():
        raise ConfigError("--truth", f"{truth} does not exist")
    if (truth / "gt" / "gt.txt").is_file():
        return [_sequence(truth.resolve().name, truth / "gt" / "gt.txt", truth)]
    found = sorted(path for path in truth.glob("*/gt/gt.txt") if path.is_file())
    if not found:
        raise ConfigError("--truth", f"{truth} has no gt/gt.txt and no SEQUENCE/gt/gt.txt")
    return [_sequence(path.parents[1].name, path, path.parents[1]) for path in found]


def file_of(sequence: Sequence, given: Path, option: str, alone: bool, usual: str) -> Path:
    """The file of a sequence among what `option` gives: a file, for a sequence that is `alone`;
    or a folder with SEQ/`usual`, SEQ.txt, or `usual` itself. Raises `ConfigError`."""
    if given.is_file():
        if not alone:
            raise ConfigError(option, f"{given} is one file, but --truth has several sequences")
        return given
    if not given.exists():
        raise ConfigError(option, f"{given} does not exist")
    places = [given / sequence.name / usual, given / f"{sequence.name}.txt"]
    places += [given / usual] if alone else []
    for place in places:
        if place.is_file():
            return place
    raise ConfigError(option, f"{given} has neither {sequence.name}/{usual} nor {places[1].name}")


def _sequence(name: str, truth: Path, folder: Path) -> Sequence:
    file = folder / "seqinfo.ini"
    if not file.is_file():
        return Sequence(name, truth)
    parser = configparser.ConfigParser()
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
        section = parser["Sequence"]
        fps, frames = section.getfloat("frameRate"), section.getint("seqLength")
    except (configparser.Error, KeyError, ValueError) as error:
        why = str(error).strip("'")
        raise ConfigError(str(file), f"is no [Sequence] with numbers: {why}") from None
    for key, value in (("frameRate", fps), ("seqLength", frames)):
        if value is not None and not 0 < value < 1e9:
            raise ConfigError(str(file), f"{key} {value:g} is not above 0")
    if frames is not None and frames > LONGEST_FRAMES:
        raise ConfigError(str(file), f"seqLength {frames} is beyond {LONGEST_FRAMES}")
    return Sequence(name, truth, fps, frames)
