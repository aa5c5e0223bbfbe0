"""How far a batch is, when half of it is only known by its size."""

from pipeline.batch.manifest import Row, State
from pipeline.batch.progress import Account, Ledger
from pipeline.batch.result import Progress, Result


def row(path: str, size_bytes: int, state: State = "queued", decoded: int = 0) -> Row:
    result = Result(decoded=decoded) if state in ("done", "failed") else None
    return Row(path, path, size_bytes, 0, state, 0, None, result)


def test_nothing_is_promised_before_anything_is_known() -> None:
    ledger = Ledger([row("a", 100), row("b", 300)])
    assert ledger.account([]) == Account(0, 0, 2, 0, None)
    assert ledger.account([("a", Progress(3, None))]) == Account(0, 0, 2, 3, None)


def test_the_rest_is_estimated_from_bytes() -> None:
    ledger = Ledger([row("a", 100), row("b", 300), row("c", 100)])
    assert ledger.account([("a", Progress(3, 10))]) == Account(0, 0, 3, 3, 50)
    ledger.close("a", 20, failed=False)
    assert ledger.account([]) == Account(1, 0, 3, 20, 100)
    assert ledger.account([("b", Progress(5, 30))]) == Account(1, 0, 3, 25, round(50 + 100 / 8))


def test_at_the_end_all_is_exact_and_failed_files_count_as_over() -> None:
    ledger = Ledger([row("a", 100, "done", 7), row("b", 0, "failed"), row("c", 50)])
    ledger.close("c", 4, failed=True)
    assert ledger.account([("c", Progress(4, 9))]) == Account(1, 2, 3, 11, 11)
