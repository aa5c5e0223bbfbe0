"""`eyrie batch` with another detector: `python -m tests.pipeline.batch.command bar SOURCE …`."""

import sys

from pipeline.cli import batch as cli
from pipeline.cli.app import app
from tests.pipeline.batch import cheap

MAKERS = {"bar": cheap.make_bar, "real": cheap.make_real, "none": cheap.make_none}


def main() -> None:
    name, *arguments = sys.argv[1:]
    run = cli.run_batch
    cli.run_batch = lambda request: run(request, MAKERS[name])  # type: ignore[assignment, misc]
    app(["batch", *arguments])


if __name__ == "__main__":
    main()
