"""`eyrie model quantize`: an FP32 ONNX file as an INT8 one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.faults import guarded


def quantize(
    model: Annotated[str, typer.Argument(help="A bundled FP32 model, or an exported ONNX file.")],
    calibrate: Annotated[
        str, typer.Option(metavar="LOCATION", help="Data whose training pictures show the ranges.")
    ],
    out: Annotated[Path, typer.Option(help="The INT8 file to write.")],
    pictures: Annotated[int, typer.Option(min=1, help="Calibrate on N pictures.")] = 200,
    method: Annotated[
        Literal["mse", "percentile"], typer.Option(help="How a range is chosen.")
    ] = "mse",
    signed: Annotated[
        bool, typer.Option("--signed", help="The form for TensorRT: zero point 0 throughout.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Which pictures are drawn.")] = 0,
) -> None:
    """Quantize after training: 8-bit weights and activations, measured on pictures."""

    def work() -> int:
        from detectors.quantize.post_training import quantize_file
        from detectors.yolo_nas.detector import resolve

        count = quantize_file(
            resolve(model),
            calibrate,
            out,
            pictures=pictures,
            method=method,
            signed=signed,
            seed=seed,
        )
        typer.echo(f"{out}: {count} activations in 8 bits, {out.stat().st_size / 1e6:.2f} MB")
        return 0

    guarded(work)
