"""Options that several commands have."""

from typing import Annotated

import typer

AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="Accept the licence of downloaded weights.")
]
Sha256 = Annotated[
    str | None, typer.Option(metavar="HEX", help="What the SHA-256 of the model file must be.")
]
