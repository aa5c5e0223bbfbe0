"""`eyrie model`: everything about the network itself. One file per command."""

import typer

from pipeline.cli.model.build import build
from pipeline.cli.model.evaluate import evaluate
from pipeline.cli.model.export import export
from pipeline.cli.model.inspect import inspect
from pipeline.cli.model.predict import predict
from pipeline.cli.model.pseudo_label import pseudo_label
from pipeline.cli.model.qat import qat
from pipeline.cli.model.quantize import quantize
from pipeline.cli.model.summary import summary
from pipeline.cli.model.train import train

app = typer.Typer(
    name="model",
    help="Load, inspect, train, evaluate and try YOLO-NAS networks.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(predict)
app.command()(summary)
app.command()(evaluate)
app.command()(train)
app.command()(pseudo_label)
app.command()(export)
app.command()(quantize)
app.command()(qat)
app.command()(build)
app.command()(inspect)
