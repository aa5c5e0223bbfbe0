"""The webhook over TLS, with certificates that are good, wrong, and missing."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.core.errors import Rejected, SinkUnavailable
from sinks.tls import Tls
from sinks.webhook import WebhookSink
from tests.services.certificates import Authority, Certificate
from tests.services.hook import Answer, Hook
from tests.services.streams import bodies_by_stream, outgoing


@dataclass(frozen=True)
class _Shown:
    authority: Path
    certificate: Certificate


def _shown(folder: Path, name: str, host: str) -> _Shown:
    authority = Authority(folder, name)
    return _Shown(authority.file, authority.certificate(f"DNS:{host}"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> _Shown:
    return _shown(tmp_path_factory.mktemp("server"), "ours", "localhost")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> _Shown:
    return _shown(tmp_path_factory.mktemp("other"), "other", "other.example")


def _open(url: str, tls: Tls) -> WebhookSink:
    sink = WebhookSink(url, tls=tls)
    sink.open()
    return sink


def test_a_certificate_that_is_trusted(server: _Shown) -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook().with_tls(server.certificate) as hook:
        sink = _open(hook.url, Tls(ca=server.authority))
        sink.write(messages)
        sink.flush(20)
        sink.close()
        assert hook.bodies == bodies_by_stream(messages)


def test_a_certificate_of_nobody_known_is_refused(server: _Shown, other: _Shown) -> None:
    with Hook().with_tls(server.certificate) as hook:
        for tls in (Tls(), Tls(ca=other.authority)):
            with pytest.raises(
                Rejected, match=r"the certificate is refused: unable to get local issuer"
            ):
                _open(hook.url, tls)
        assert hook.posts == []


def test_a_certificate_for_another_host_is_refused(other: _Shown) -> None:
    with Hook().with_tls(other.certificate) as hook, pytest.raises(Rejected, match="localhost"):
        _open(hook.url, Tls(ca=other.authority))


def test_a_certificate_that_changes_later_costs_no_message(server: _Shown, other: _Shown) -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook().with_tls(server.certificate) as hook:
        sink = _open(hook.url, Tls(ca=server.authority))
    sink.write(messages)
    with Hook(port=hook.port).with_tls(other.certificate):
        told = ""
        while "the certificate is refused" not in told:  # the first may meet the old connection
            with pytest.raises(SinkUnavailable) as raised:
                sink.flush(20)
            told = str(raised.value)
    with Hook(port=hook.port).with_tls(server.certificate) as mended:
        sink.flush(20)
        assert mended.bodies == bodies_by_stream(messages)
    sink.close()


def test_a_client_certificate(server: _Shown, other: _Shown) -> None:
    client = other.certificate
    with Hook().with_tls(server.certificate, client_ca=other.authority) as hook:
        with pytest.raises(SinkUnavailable):
            _open(hook.url, Tls(ca=server.authority))
        _open(hook.url, Tls(ca=server.authority, cert=client.chain, key=client.key)).close()


def test_a_certificate_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"tls\.ca: there is no file '.*none\.pem'"):
        _open("https://localhost:1/", Tls(ca=tmp_path / "none.pem"))


def test_an_answer_that_takes_too_long_is_given_up_within_tls(server: _Shown) -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook(Answer(200, drips="header")).with_tls(server.certificate) as hook:
        sink = WebhookSink(hook.url, tls=Tls(ca=server.authority), timeout_s=0.5)
        sink.open()
        sink.write(messages)
        with pytest.raises(SinkUnavailable, match=r"no answer within 0\.5 s"):
            sink.flush(20)
        sink.flush(20)
        sink.close()
        assert sink.delivered_total == len(messages)
