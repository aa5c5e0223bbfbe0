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

_TRAINING = frozenset({"torch", "PIL", "pycocotools", "matplotlib", "tensorboardX"})
"""What the extra `train` brings, by the names that are imported."""
_PLAIN = "%(levelname)s %(message)s"


def guarded(work: Callable[[], int]) -> NoReturn:
    """Do it. Whatever goes wrong becomes one line and an exit code.

    What is logged meanwhile goes to standard error, with the time where that is a file or a pipe:
    a terminal's reader has a clock, and systemd's journal (`JOURNAL_STREAM`) notes the time itself.
    """
    is_timed = sys.stderr.isatty() or "JOURNAL_STREAM" in os.environ
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format=_PLAIN if is_timed else f"%(asctime)s {_PLAIN}",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
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
    """An `EyrieError` in its own words; a package of an extra with how to get it; an error of the
    system with its file; all else as the fault of Eyrie that it is, with its traceback on standard
    error where `EYRIE_DEBUG` is set."""
    whole = error
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, EyrieError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in _TRAINING:
        return f"this needs {error.name}, which is not installed: pip install 'eyrie[train]'"
    if os.environ.get("EYRIE_DEBUG"):
        sys.stderr.write(redact("".join(traceback.format_exception(whole))))
    if isinstance(error, OSError):
        return one_line(f"{error.filename or 'standard output'}: {error.strerror or error}")
    what = redact(one_line(f"{type(error).__name__}: {error}"))
    return f"unexpected {what}; this is a fault of Eyrie, please report it"
