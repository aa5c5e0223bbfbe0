"""What went wrong, in one line for the user, whoever raised it."""

import os
import sys
import traceback

from pipeline.core.errors import EyrieError
from pipeline.core.log import one_line, redact


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
