"""Certificates, passwords and rights of a real Kafka broker."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from pipeline.core.errors import Rejected, SinkError, SinkUnavailable
from sinks.kafka import Access, Creation, KafkaSink
from sinks.kafka.client import Mechanism
from sinks.kafka.open_client import ClientName
from sinks.tls import Tls
from tests.services.kafka_records import bodies
from tests.services.secure_kafka import CREATOR, PASSWORD, READER, WRITER, SecureKafka
from tests.services.streams import bodies_by_stream, outgoing

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).resolve().parents[2]
CLIENTS: tuple[ClientName, ...] = ("kafka-python", "confluent")
SinkMaker = Callable[..., KafkaSink]


@pytest.fixture(params=CLIENTS)
def make_sink(request: pytest.FixtureRequest, topic: str) -> SinkMaker:
    def make(place: str, access: Access, **more: object) -> KafkaSink:
        options = {"connect_timeout_s": 5, "client": request.param, "access": access, **more}
        return KafkaSink([place], str(options.pop("topic", topic)), "out", **options)

    return make


@pytest.fixture(scope="module")
def topic(secure_kafka: SecureKafka) -> str:
    return secure_kafka.topic(f"test-{uuid4().hex}")


def delivers(sink: KafkaSink, plain: str, topic: str) -> None:
    """What the sink writes is in the topic, as read at the broker's plain port."""
    messages = outgoing([uuid4().hex], frames=3)
    sink.open()
    sink.write(messages)
    sink.flush(20)
    sink.close()
    assert bodies_by_stream(messages).items() <= bodies(plain, topic).items()


def refused(sink: KafkaSink, why: str, kind: type[SinkError] = Rejected) -> None:
    with pytest.raises(kind, match=why) as raised:
        sink.open()
    sink.close()
    text = str(raised.value)
    assert "\n" not in text
    assert PASSWORD not in text


def plain(kafka: SecureKafka) -> str:
    return f"127.0.0.1:{kafka.server.port}"


def test_the_right_certificate(secure_kafka: SecureKafka, make_sink: SinkMaker, topic: str) -> None:
    ca = secure_kafka.authority.file
    delivers(make_sink(secure_kafka.tls, Access(tls=Tls(ca))), plain(secure_kafka), topic)


@pytest.mark.parametrize("trust", ["system", "stranger", "wrong name"])
def test_a_wrong_certificate_is_refused(
    secure_kafka: SecureKafka, make_sink: SinkMaker, trust: str
) -> None:
    place, known = secure_kafka.tls, secure_kafka.authority.file
    ca = {"system": None, "stranger": secure_kafka.stranger.file, "wrong name": known}[trust]
    if trust == "wrong name":
        place = place.replace("127.0.0.1", "localhost")
    sink = make_sink(place, Access(tls=Tls(ca)), connect_timeout_s=2)
    refused(sink, "(?i)certificate.verify.failed")


def test_whom_one_does_not_verify_one_believes(
    secure_kafka: SecureKafka, make_sink: SinkMaker, topic: str
) -> None:
    access = Access(tls=Tls(secure_kafka.stranger.file, verify=False))
    delivers(make_sink(secure_kafka.tls, access), plain(secure_kafka), topic)


def test_a_certificate_of_our_own(
    secure_kafka: SecureKafka, make_sink: SinkMaker, topic: str
) -> None:
    ca, place = secure_kafka.authority.file, secure_kafka.mutual_tls
    anonymous = make_sink(place, Access(tls=Tls(ca)), connect_timeout_s=2)
    refused(anonymous, "bad certificate", SinkUnavailable)
    known = Access(tls=Tls(ca, secure_kafka.client.chain, secure_kafka.client.key))
    delivers(make_sink(place, known), plain(secure_kafka), topic)


@pytest.mark.parametrize("wrong", ["missing", "no certificate"])
def test_a_certificate_file_that_is_none(
    secure_kafka: SecureKafka, make_sink: SinkMaker, wrong: str
) -> None:
    missing = secure_kafka.authority.file.with_name("nothing.pem")
    path = missing if wrong == "missing" else secure_kafka.client.key
    sink = make_sink(secure_kafka.tls, Access(tls=Tls(path)))
    refused(sink, re.escape(str(path)))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_passwords(
    secure_kafka: SecureKafka, make_sink: SinkMaker, topic: str, mechanism: Mechanism
) -> None:
    delivers(
        make_sink(secure_kafka.sasl, Access(WRITER, PASSWORD, mechanism)),
        plain(secure_kafka),
        topic,
    )
    wrong = make_sink(secure_kafka.sasl, Access(WRITER, f"{PASSWORD}!", mechanism))
    refused(wrong, "(?i)authentication")


def test_password_and_certificate(
    secure_kafka: SecureKafka, make_sink: SinkMaker, topic: str
) -> None:
    tls = Tls(secure_kafka.authority.file)
    access = Access(WRITER, PASSWORD, "SCRAM-SHA-512", tls)
    delivers(make_sink(secure_kafka.sasl_tls, access), plain(secure_kafka), topic)


@pytest.mark.parametrize("user", [READER, CREATOR])
def test_no_right_to_write(
    secure_kafka: SecureKafka, make_sink: SinkMaker, topic: str, user: str
) -> None:
    sink = make_sink(secure_kafka.sasl, Access(user, PASSWORD, "PLAIN"))
    refused(sink, f"topic '{topic}': this user has no right to write to it")


def test_the_right_to_create(secure_kafka: SecureKafka, make_sink: SinkMaker) -> None:
    topic = f"made-{uuid4().hex}"
    secure_kafka.let_create(topic)
    access = Access(CREATOR, PASSWORD, "PLAIN")
    missing = make_sink(secure_kafka.sasl, access, topic=topic)
    refused(missing, f"topic '{topic}' does not exist")
    made = make_sink(secure_kafka.sasl, access, topic=topic, create=Creation(2, 1))
    delivers(made, plain(secure_kafka), topic)


def test_no_right_to_the_transactional_id(secure_kafka: SecureKafka, make_sink: SinkMaker) -> None:
    access = Access(WRITER, PASSWORD, "PLAIN")
    sink = make_sink(secure_kafka.sasl, access, transactional_id=uuid4().hex)
    refused(sink, "(?i)transactional ?id ?authorization ?failed")


def test_rights_that_are_withdrawn_and_given_back(
    secure_kafka: SecureKafka, make_sink: SinkMaker
) -> None:
    topic = secure_kafka.topic(f"test-{uuid4().hex}")
    messages = outgoing(["gate"], frames=20)
    sink = make_sink(secure_kafka.sasl, Access(WRITER, PASSWORD, "PLAIN"), topic=topic)
    sink.open()
    sink.write(messages[:10])
    sink.flush(20)
    secure_kafka.forbid(topic)
    sink.write(messages[10:])
    with pytest.raises(SinkUnavailable):
        sink.flush(1)
    assert sink.pending == len(messages) - 10
    secure_kafka.allow(topic)
    sink.flush(40)
    sink.close()
    assert bodies(plain(secure_kafka), topic) == bodies_by_stream(messages)


def test_nobody_hears_the_password(
    secure_kafka: SecureKafka, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        for password in (PASSWORD, f"{PASSWORD}!"):
            access = Access(WRITER, password, mechanism)
            sink = make_sink(secure_kafka.sasl, access, connect_timeout_s=2)
            heard = [repr(sink), repr(vars(sink))]
            try:
                sink.open()
                sink.write(outgoing(["gate"], frames=1))
                sink.flush(20)
            except SinkError as error:
                heard += [str(error), repr(error), repr(error.__cause__)]
            sink.close()
            assert PASSWORD not in "".join(heard)
    assert "client:" in caplog.text
    assert PASSWORD not in caplog.text
    assert logging.getLogger("kafka").propagate is False
    assert PASSWORD not in "".join(capfd.readouterr())


def test_the_command_hides_the_password(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"""streams: [{{id: gate, source: {{kind: street, seed: 1, seconds: 1}}}}]
sinks:
  - kind: kafka
    bootstrap_servers: {secure_kafka.sasl}
    topic: test
    client: confluent
    user: {WRITER}
    password: ${{KAFKA_PASSWORD}}
    sasl_mechanism: PLAIN
    connect_timeout_s: 3
"""
    )
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "run"]
    environment = {**os.environ, "KAFKA_PASSWORD": f"{PASSWORD}!", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, str(config)], cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    title = Path(f"/proc/{process.pid}/cmdline").read_text()
    told, _ = process.communicate(timeout=100)
    assert process.returncode == 3, told
    assert "Invalid username or password" in told
    usage = subprocess.run(
        [*command, "--help"], cwd=tmp_path, env=environment, text=True, capture_output=True,
        check=True, timeout=100,
    )  # fmt: skip
    assert PASSWORD not in title + told + usage.stdout + usage.stderr
