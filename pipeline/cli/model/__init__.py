"""`eyrie model`: everything about the network itself."""

import typer

from pipeline.cli.command import command
from pipeline.cli.model import qat_request, quantize_request, train_request
from pipeline.cli.model.build import build
from pipeline.cli.model.evaluate import evaluate
from pipeline.cli.model.export import export
from pipeline.cli.model.inspect import inspect
from pipeline.cli.model.predict import predict
from pipeline.cli.model.pseudo_label import pseudo_label
from pipeline.cli.model.summary import summary

app = typer.Typer(
    name="model",
    help="Load, inspect, train, evaluate and try YOLO-NAS networks.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def train(request: train_request.Request) -> int:
    """Train a network: from scratch, from a checkpoint, or on from where a run stopped."""
    from pipeline.cli.model.train_run import run_training

    return run_training(request)


def quantize(request: quantize_request.Request) -> int:
    """Quantize after training: 8-bit weights and activations, measured on pictures."""
    from pipeline.cli.model.quantize_run import run_quantize

    return run_quantize(request)


def qat(request: qat_request.Request) -> int:
    """Train a checkpoint on with fake quantization, and write it as INT8."""
    from pipeline.cli.model.qat_run import run_qat

    return run_qat(request)


for each in (
    predict,
    summary,
    evaluate,
    train,
    pseudo_label,
    export,
    quantize,
    qat,
    build,
    inspect,
):
    command(app)(each)
