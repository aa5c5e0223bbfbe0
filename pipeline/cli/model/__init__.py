"""`eyrie model`: everything about the network itself. One file per command."""

import typer

app = typer.Typer(
    name="model",
    help="Load, inspect, train, evaluate and try YOLO-NAS networks.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
