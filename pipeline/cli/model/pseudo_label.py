"""`eyrie model pseudo-label`: unlabelled footage in, a training set out."""

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from pipeline.cli.options import AcceptLicence, Sha256, names
from pipeline.core.errors import ConfigError
from pipeline.core.log import one_line

if TYPE_CHECKING:
    from detectors.training.pseudo_label import Account

UNITS_S = {"ms": 0.001, "": 1.0, "s": 1.0, "min": 60.0}


def seconds(text: str) -> float:
    """`500ms`, `1s`, `0.5`, `2min` -> seconds, above 0. Raises `ConfigError`."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)(ms|s|min)?", text.strip())
    value = float(match[1]) * UNITS_S[match[2] or ""] if match else 0.0
    if value <= 0:
        raise ConfigError("--every", f"{text!r} is no time above 0, such as 500ms, 1s or 2min")
    return value


def pseudo_label(
    model: Annotated[str, typer.Argument(help="A bundled model, a .pth or .onnx file, or a URL.")],
    footage: Annotated[list[Path], typer.Argument(help="Videos, pictures, folders of them.")],
    out: Annotated[Path, typer.Option(help="New folder for the training set.")],
    every: Annotated[str, typer.Option(help="Time between pictures of a video.")] = "1s",
    accept: Annotated[
        float, typer.Option(min=0, max=1, help="A detection with this score is a box.")
    ] = 0.6,
    discard: Annotated[
        float, typer.Option(min=0, max=1, help="A detection below this score is nothing.")
    ] = 0.2,
    classes: Annotated[
        str | None, typer.Option(help="Label only these, such as person,car.")
    ] = None,
    max_pictures: Annotated[
        int | None, typer.Option(min=1, help="Stop after writing N pictures.")
    ] = None,
    min_side_px: Annotated[
        float, typer.Option(min=0, help="Smaller boxes, as written, are doubtful.")
    ] = 0,
    longest_side: Annotated[int, typer.Option(min=32, help="Of the pictures written, px.")] = 448,
    jpeg: Annotated[bool, typer.Option("--jpeg", help="JPEG pictures instead of WebP.")] = False,
    duplicate: Annotated[
        float, typer.Option(min=0, max=255, help="Mean difference that is nothing new, of 255.")
    ] = 1.0,
    flip_agreement: Annotated[
        bool, typer.Option("--flip-agreement", help="Accept only what the mirror image shows too.")
    ] = False,
    no_empty: Annotated[
        bool, typer.Option("--no-empty", help="Leave out pictures without a box.")
    ] = False,
    accept_licence: AcceptLicence = False,
    sha256: Sha256 = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no account.")] = False,
) -> int:
    """Label footage that nobody has, and keep what the model is sure of as a training set."""
    from detectors.training.confidence import Policy, finder
    from detectors.training.footage import find_footage
    from detectors.training.pseudo_label import (
        Form,
        Labeller,
        TrainingSet,
        chosen,
        describe,
        label_all,
    )
    from detectors.yolo_nas.predict.network import load

    picked = names("--classes", classes)
    policy = Policy(accept, discard, min_side_px)
    suffix: Literal[".jpg", ".webp"] = ".jpg" if jpeg else ".webp"
    form = Form(
        seconds(every), longest_side, suffix, duplicate_levels=duplicate, empty=not no_empty
    )
    files = find_footage(footage)
    loaded = load(model, accept_licence=accept_licence, sha256=sha256)
    known = loaded.processing.class_names
    wanted = chosen(known, picked)
    with TrainingSet(out, known, form) as into, _watched(quiet) as watch:
        find = finder(loaded, policy, mirrored=flip_agreement)
        labeller = Labeller(find, policy, form, into, wanted)
        account = label_all(files, labeller, form, max_pictures, watch)
    taught = [name for name, is_wanted in zip(known, wanted, strict=True) if is_wanted]
    settings = {
        "form": asdict(form),
        "flip_agreement": flip_agreement,
        "classes": taught,
        "footage": [str(location) for location in footage],
    }
    identity = {"name": loaded.path.name, "sha256": loaded.sha256}
    describe(out, identity, policy, settings, account)
    _tell(account, out, quiet)
    if not quiet:
        typer.echo(_next_step(out, model))
    return 1 if account.faults else 0


@contextmanager
def _watched(quiet: bool) -> Iterator["Callable[[Account], None]"]:
    """A live line on standard error, where that is a terminal."""
    with Console(stderr=True).status("reading footage") as status:
        if quiet:
            status.stop()
        yield lambda account: status.update(
            f"{account.seen} pictures seen, {account.fates['written']} written"
        )


def _next_step(out: Path, model: str) -> str:
    start = model if model.endswith(".pth") else "yolo_nas_n"
    words = ("--data", str(out), "--data", "LABELLED", "--from", start, "--out", "runs/pseudo")
    return (
        f"next: eyrie model train {shlex.join(words)}\n"
        "where LABELLED has a val split: this set has none, and training on it alone measures "
        "nothing and keeps last.pth only"
    )


def _tell(account: "Account", out: Path, quiet: bool) -> None:
    """The account of pictures on standard output, what could not be read on standard error."""
    for fault in account.faults:
        typer.echo(f"eyrie: {one_line(fault)}", err=True)
    if quiet:
        return
    fates = " + ".join(f"{count} {fate}" for fate, count in account.counted().items())
    typer.echo(f"{account.seen} pictures seen = {fates}")
    table = Table("class", "boxes", "pictures in doubt")
    for name in sorted(account.boxes | account.left_out):
        table.add_row(name, f"{account.boxes[name]}", f"{account.left_out[name]}")
    Console(highlight=False).print(table)
    typer.echo(f"{one_line(str(out))}: a training set, see its README.md")
