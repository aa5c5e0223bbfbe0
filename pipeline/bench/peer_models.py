"""The model files that peers get, as fair as can be."""

from collections.abc import Sequence
from pathlib import Path

from detectors.yolo_nas.detector import resolve
from pipeline.bench.plan import PeerModel
from pipeline.core.errors import ConfigError

FORMS = ("stored", "rewritten", "fp32")


def peer_models(forms: Sequence[str], stored: Path, folder: Path) -> tuple[PeerModel, ...]:
    """Make the models of those `FORMS` that are asked for.

    - `stored`: the file as it is, which ONNX Runtime reads.
    - `rewritten`: what our engine makes of a quantized file in memory, saved to `folder`: a peer's
      user has no such file, and the loop around it is all that is left to compare.
    - `fp32`: the bundled FP32 file of the same network.

    Raises `ConfigError` for another name.
    """
    found = []
    for form in forms:
        if form not in FORMS:
            raise ConfigError("--peer-models", f"{form!r} is none of {', '.join(FORMS)}")
        match form:
            case "stored":
                path = stored
            case "rewritten":
                path = _rewritten(stored, folder)
            case _:
                path = resolve(stored.stem.removesuffix("_int8"), None)
        found.append(PeerModel(f"{form} model", path))
    return tuple(found)


def _rewritten(stored: Path, folder: Path) -> Path:
    from detectors.engines.rewrite import rewritten

    path = folder / f"{stored.stem}-rewritten.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(rewritten(stored.read_bytes()))
    return path
