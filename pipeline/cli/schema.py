"""`eyrie schema`: what the messages look like, for programs."""

import json
from typing import Annotated, Literal

import typer


def schema(
    form: Annotated[
        Literal["json", "avro"],
        typer.Option("--format", help="JSON Schema, or the Avro schema of the compact form."),
    ] = "json",
) -> int:
    """Print the JSON Schema of the messages."""
    from pipeline.core.avro_schema import avro_schema
    from pipeline.core.messages import json_schema

    print(json.dumps(json_schema() if form == "json" else avro_schema(), indent=2))
    return 0
