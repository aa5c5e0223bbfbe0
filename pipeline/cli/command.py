"""How a function becomes a command of `eyrie`.

It returns its exit code, in a module that is cheap to import; what it does is imported when it is
called. One with many options takes them as a `Request`: a dataclass whose fields are the options.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

import typer

from pipeline.cli.faults import guarded


def command(app: typer.Typer) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add a function to `app` under its own name: its docstring is the help, its annotated
    parameters are the options, and what it raises becomes one line. Where its parameter is called
    `request`, the fields of that dataclass are. Gives the function back as it is."""

    def add(work: Callable[..., int]) -> Callable[..., int]:
        asked = get_type_hints(work).get("request")

        @wraps(work)
        def called(**given: Any) -> None:
            guarded(lambda: work(**given) if asked is None else work(asked(**given)))

        if asked is not None:
            vars(called)["__signature__"] = inspect.signature(asked, eval_str=True)
        app.command()(called)
        return work

    return add
