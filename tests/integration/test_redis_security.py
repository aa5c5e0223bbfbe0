"""Redis with certificates and users that may do little: real servers."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from pipeline.core.errors import Rejected, SinkUnavailable
from sinks.redis.append import Trim
from sinks.redis.client import Login
from sinks.redis.sink import RedisSink
from sinks.tls import Tls
from tests.services.certificates import Authority
from tests.services.contract import SECRET
from tests.services.needed import need
from tests.services.redis_servers import encrypted, redis_with
from tests.services.servers import Server, free_port
from tests.services.streams import numbered, outgoing

need("redis-server", "openssl")

RIGHTS = (
    "+ping", "+type", "+exists", "+eval", "+time", "+xinfo|stream", "+xadd", "+xtrim", "+hget",
    "+hset", "+wait",
)  # fmt: skip
"""What docs/redis.md says that a user needs, for streams and states."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Authority:
    return Authority(folder, "ours")


@pytest.fixture(scope="module")
def server(folder: Path, ours: Authority) -> Iterator[Server]:
    started = encrypted(folder / "redis", ours.certificate(), ours.file)
    started.start()
    yield started
    started.stop()


def _sink(server: Server, tls: Tls | None, host: str = "127.0.0.1") -> RedisSink:
    return RedisSink(f"rediss://{host}:{server.port}/0", "all", tls=tls, timeout_s=2)


def test_the_right_authority(server: Server, ours: Authority) -> None:
    messages = numbered(outgoing(["gate"], frames=3))
    sink = _sink(server, Tls(ca=ours.file))
    sink.open()
    sink.write(messages)
    sink.close()
    assert sink.delivered_total == len(messages)


def test_a_wrong_certificate_is_refused(server: Server, folder: Path, ours: Authority) -> None:
    theirs = Authority(folder, "theirs")
    for tls, host in ((Tls(ca=theirs.file), "127.0.0.1"), (None, "127.0.0.1")):
        sink = _sink(server, tls, host)
        with pytest.raises(Rejected, match=r"certificate verify failed") as raised:
            sink.open()
        sink.close()
        assert not raised.value.message_ids
    wrong_name = encrypted(folder / "named", ours.certificate("DNS:example.org"), ours.file)
    wrong_name.start()
    with pytest.raises(Rejected, match=r"certificate is not valid for '127\.0\.0\.1'"):
        _sink(wrong_name, Tls(ca=ours.file)).open()
    unchecked = _sink(wrong_name, Tls(verify=False))
    unchecked.open()
    unchecked.close()
    wrong_name.stop()


def test_a_server_that_asks_who_we_are(folder: Path, ours: Authority) -> None:
    server = encrypted(folder / "asks", ours.certificate(), ours.file, clients="yes")
    server.start()
    shown = ours.certificate("DNS:eyrie")
    known = _sink(server, Tls(ours.file, shown.chain, shown.key))
    known.open()
    known.close()
    with pytest.raises(SinkUnavailable):
        _sink(server, Tls(ours.file)).open()
    server.stop()


def test_a_missing_file_is_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"tls\.ca: there is no file '.*/nowhere\.pem'"):
        _sink(server, Tls(ca=tmp_path / "nowhere.pem")).open()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """Knows the user `eyrie`, who has just the rights that the docs name."""
    started = redis_with(tmp_path / "redis")
    started.start()
    with redis.Redis(port=started.port) as client:
        run: Any = client.execute_command
        run("ACL SETUSER", "eyrie", "on", f">{SECRET}", "resetkeys", "~eyrie:*", "-@all", *RIGHTS)
        client.acl_setuser("default", enabled=False)
    yield started
    started.stop()


def test_the_rights_that_the_docs_name_are_enough(guarded: Server) -> None:
    login = Login("eyrie", SECRET)
    sink = RedisSink(
        f"redis://127.0.0.1:{guarded.port}", "eyrie:{stream_id}", trim=Trim(1000, 3600),
        state="eyrie:state:{stream_id}", login=login, timeout_s=2,
    )  # fmt: skip
    sink.open()
    sink.write(numbered(outgoing(["gate"], frames=3)))
    sink.close()
    page = (Path(__file__).resolve().parents[2] / "docs/redis.md").read_text()
    assert f"ACL SETUSER eyrie on >PASSWORD resetkeys ~eyrie:* -@all {' '.join(RIGHTS)}" in page


def test_a_right_that_is_missing_refuses_the_sink_and_no_message(guarded: Server) -> None:
    login = Login("eyrie", SECRET)
    url = f"redis://127.0.0.1:{guarded.port}"
    with pytest.raises(Rejected, match=r"(?i)no permissions"):
        RedisSink(url, "cameras", login=login, timeout_s=2).open()
    sink = RedisSink(url, "cameras:{stream_id}", login=login, timeout_s=2)
    sink.open()
    with pytest.raises(Rejected, match=r"(?i)no permissions") as raised:
        sink.write(numbered(outgoing(["gate"], frames=3)))
    sink.close()
    assert not raised.value.message_ids
    assert "detections" not in str(raised.value)


def test_secrets_are_nowhere(guarded: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = f"not-{SECRET}"
    said: list[str] = []
    for url, login in (
        (f"redis://eyrie:{wrong}@127.0.0.1:{guarded.port}/0", Login()),
        (f"redis://127.0.0.1:{guarded.port}/0", Login("eyrie", wrong)),
        (f"redis://eyrie:{SECRET}@127.0.0.1:{free_port()}/0", Login()),
        (f"redis+sentinel://eyrie:{SECRET}@127.0.0.1:{free_port()}/main", Login(None, wrong)),
        (f"redis+cluster://eyrie:{SECRET}@127.0.0.1:{free_port()}", Login(None, SECRET)),
        (f"redis+cluster://eyrie:{wrong}@127.0.0.1:{guarded.port}", Login()),
    ):
        sink = RedisSink(url, login=login, timeout_s=0.5)
        with pytest.raises((Rejected, SinkUnavailable)) as raised:
            sink.open()
        sink.close()
        said += [str(raised.value), repr(raised.value), repr(sink), repr(login), str(sink.name)]
    said += [record.getMessage() for record in caplog.records]
    assert not [text for text in said if SECRET in text]
    assert all("\n" not in text for text in said)
