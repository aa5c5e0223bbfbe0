"""`eyrie model export`: a checkpoint as the ONNX file that pipelines run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.options import AcceptLicence, Sha256


def export(
    checkpoint: Annotated[
        str, typer.Argument(help="A .pth file, its URL, or a public name such as yolo_nas_s_coco.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The ONNX file to write (default: beside the checkpoint).")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="SIDE|HxW", help="Input size in pixels (default: the checkpoint's)."),
    ] = None,
    note: Annotated[str, typer.Option(help="How it was trained, for the file's metadata.")] = "",
    metrics: Annotated[
        Path | None,
        typer.Option(help="Figures of eyrie model evaluate --json, for the file's metadata."),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store large kernels in half precision.")
    ] = False,
    accept_licence: AcceptLicence = False,
    sha256: Sha256 = None,
) -> int:
    """Fuse a checkpoint and write it as ONNX, verified against the checkpoint."""
    from detectors.export import export as write
    from detectors.yolo_nas.checkpoints.checkpoint import read

    loaded = read(checkpoint, accept_licence=accept_licence, sha256=sha256)
    path = out or _beside(checkpoint)
    said = _figures(metrics) if metrics else {}
    write(loaded, path, _sides(size), {"command": note, "metrics": said}, half)
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


def _figures(path: Path) -> Any:
    import json

    from pipeline.core.errors import ConfigError

    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError("--metrics", f"{path} is no JSON: {error}") from error


def _beside(checkpoint: str) -> Path:
    """The same name ending in .onnx; in the working folder for what was downloaded."""
    path = Path(checkpoint)
    return (path if path.is_file() else Path(path.name)).with_suffix(".onnx")


def _sides(text: str | None) -> tuple[int, int] | None:
    """`416` or `352x640` (height x width), in multiples of 32."""
    from pipeline.core.errors import ConfigError

    if text is None:
        return None
    sides = text.split("x")
    right = len(sides) in (1, 2) and all(s.isdecimal() and int(s) % 32 == 0 for s in sides)
    if not right or "0" in sides:
        raise ConfigError("--size", f"{text!r} is no side or HEIGHTxWIDTH in multiples of 32")
    return int(sides[0]), int(sides[-1])
