"""The loader of examples/ against a real PostgreSQL."""

import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.servers import Server, free_port
from tests.sinks.consume.told import write
from tests.test_consume_examples import street

USER = "postgres"


@pytest.fixture
def database() -> Iterator[str]:
    """A connection string. PostgreSQL refuses to run as root, and cannot see root's folders."""
    pytest.importorskip("psycopg")
    places = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    found = shutil.which("initdb", path=os.pathsep.join([os.environ["PATH"], *places]))
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    prefix = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="eyrie-postgres-") as name:
        folder, home, port = Path(name), Path(name, "home"), free_port()
        home.mkdir()
        if prefix:
            folder.chmod(0o755)
            shutil.chown(home, USER)
        where = ["-D", str(home / "data")]
        subprocess.run(
            [*prefix, found, *where, "-U", USER, "-A", "trust", "--no-sync"],
            check=True, capture_output=True, cwd=home,
        )  # fmt: skip
        program = str(Path(found).resolve().with_name("postgres"))
        options = [*where, "-p", str(port), "-k", str(home), "-h", "127.0.0.1", "-F"]
        server = Server([*prefix, program, *options], port, folder)
        server.start()
        try:
            yield f"host=127.0.0.1 port={port} user={USER} dbname=postgres"
        finally:
            server.stop()


async def test_everything_is_loaded_once(database: str, tmp_path: Path) -> None:
    import psycopg

    to_postgres = importlib.import_module("examples.to_postgres")
    path = write(tmp_path / "gate.jsonl", street())
    for group in ("first", "again"):
        await to_postgres.load(str(path), database, group, follow=False)
    with psycopg.connect(database) as connection:
        detections = connection.execute("SELECT label, x1, y2 FROM detections").fetchall()
        crossings = connection.execute("SELECT label, track FROM crossings ORDER BY 2").fetchall()
    assert detections == [("person", 1.0, 4.0)] * 2
    assert crossings == [("person", 1), ("person", 2), ("car", 3)]
