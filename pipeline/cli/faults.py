"""What went wrong, in one line for the user, whoever raised it."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from pipeline.core.errors import ConfigError, EyrieError
from pipeline.core.log import one_line, redact


def guarded(work: Callable[[], int]) -> NoReturn:
    """Do it. Whatever goes wrong becomes one line and an exit code."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s"
    )
    try:
        code = work()
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - the last one to see it
        if isinstance(error, OSError):  # perhaps of standard output: Python flushes it at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        typer.echo(f"eyrie: {in_one_line(error)}", err=True)
        code = 2 if isinstance(error, ConfigError) else 3
    raise typer.Exit(code)


def in_one_line(error: Exception) -> str:
    """An `EyrieError` in its own words; an error of the system with its file; all else as the fault
    of Eyrie that it is, with its traceback on standard error where `EYRIE_DEBUG` is set."""
    whole = error
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, EyrieError):
        return str(error)
    if os.environ.get("EYRIE_DEBUG"):
        sys.stderr.write(redact("".join(traceback.format_exception(whole))))
    if isinstance(error, OSError):
        return one_line(f"{error.filename or 'standard output'}: {error.strerror or error}")
    what = redact(one_line(f"{type(error).__name__}: {error}"))
    return f"unexpected {what}; this is a fault of Eyrie, please report it"
