"""The `eyrie` command. Nothing else in Eyrie prints.

Exit codes: 0 all well · 1 a stream or a sink failed, the others were finished · 2 wrong usage or
configuration · 3 could not start or go on: model, broker, engine · 130 aborted by a second signal.
"""

import os
import sys
import threading


def main() -> None:
    """Run the command line and exit."""
    if sys.argv[1:] == ["--version"]:
        from pipeline import __version__

        print(f"eyrie {__version__}")
        return
    # NumPy's products are small here: the threads that its BLAS would share them with only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from pipeline.cli.app import app

    try:
        app()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            _leave(ended.code or 0)
        raise


def _leave(code: int) -> None:
    """End at once where a thread was abandoned in native code: the interpreter would tear it out of
    there at its end, and C++ answers that with an abort."""
    if any(each.daemon and each.name.startswith("eyrie ") for each in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
