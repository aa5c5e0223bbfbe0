"""The `eyrie` command. Nothing else in Eyrie prints.

Exit codes: 0 all well · 1 a stream or a sink failed, the others were finished · 2 wrong usage or
configuration · 3 could not start or go on: model, broker, engine · 130 aborted by a second signal.
"""

import sys


def main() -> None:
    """Run the command line and exit."""
    if sys.argv[1:] == ["--version"]:
        from pipeline import __version__

        print(f"eyrie {__version__}")
        return
    from pipeline.cli.app import app

    app()
