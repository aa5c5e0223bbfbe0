"""A Kafka broker that wants to know who is there: certificates, passwords and rights."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
)

from tests.services.servers import Server, create_topic, find, free_port, kafka_broker

PASSWORD = "hunter2@p:w/x"
WRITER, READER, CREATOR = "eyrie", "reader", "creator"
_USERS = (WRITER, READER, CREATOR)
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required " + " ".join(
    f'user_{user}="{PASSWORD}"' for user in _USERS
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: an authority, a server and a client that it signed, and a stranger."""

    ca: Path
    server: Path
    client: Path
    client_key: Path
    other_ca: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        """With openssl. The server is `127.0.0.1` and has no other name."""
        ca = _authority(folder, "ca")
        for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", None)):
            _sign(folder, name, extension)
        server = folder / "server.keystore.pem"
        parts = ("server.key", "server.pem", "ca.pem")
        server.write_text("".join((folder / part).read_text() for part in parts))
        return cls(
            ca, server, folder / "client.pem", folder / "client.key", _authority(folder, "other")
        )


@dataclass(frozen=True, slots=True)
class SecureKafka:
    """`server` has a plain port, where everybody may do all, and these."""

    server: Server
    certificates: Certificates
    tls: str
    mutual_tls: str
    sasl: str
    sasl_tls: str

    def topic(self, name: str) -> str:
        """A topic to which `WRITER` may write, and `READER` not."""
        create_topic(self.server.port, name, 1, {})
        self.allow(name)
        self._grant([_allow(READER, ACLOperation.READ, name)])
        return name

    def allow(self, topic: str) -> None:
        """`WRITER` may write to it."""
        self._grant([_allow(WRITER, ACLOperation.WRITE, topic)])

    def forbid(self, topic: str) -> None:
        """`WRITER` may not any more."""
        right = ACLFilter(
            f"User:{WRITER}",
            "*",
            ACLOperation.WRITE,
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType.TOPIC, topic),
        )
        with KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.server.port}") as admin:
            admin.delete_acls([right])

    def let_create(self, name: str) -> None:
        """`CREATOR` may make this topic, and write to it."""
        operations = (ACLOperation.CREATE, ACLOperation.WRITE)
        self._grant([_allow(CREATOR, operation, name) for operation in operations])

    def _grant(self, rights: Sequence[ACL]) -> None:
        with KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.server.port}") as admin:
            assert not admin.create_acls(list(rights))["failed"]


def secure_kafka_broker(folder: Path) -> SecureKafka:
    """Not started yet. Raises `ServiceMissing`."""
    certificates = Certificates.make(folder)
    names = ("SSL", "MUTUAL", "SASL_PLAINTEXT", "SASL_SSL")
    places = {name: f"127.0.0.1:{free_port()}" for name in names}
    controller = free_port()
    public = ",".join(f"{name}://{place}" for name, place in places.items())
    properties = {
        "listeners": f"PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{controller},{public}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},{public}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,"
        "MUTUAL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        "listener.name.mutual.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.server),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.ca),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:CN=client",
    }
    for listener in ("sasl_plaintext", "sasl_ssl"):
        prefix = f"listener.name.{listener}"
        properties[f"{prefix}.plain.sasl.jaas.config"] = _PLAIN + ";"
        properties[f"{prefix}.scram-sha-256.sasl.jaas.config"] = _SCRAM
        properties[f"{prefix}.scram-sha-512.sasl.jaas.config"] = _SCRAM
    scram = [
        f"{mechanism}=[name={WRITER},password={PASSWORD}]"
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
    ]
    server = kafka_broker(folder, properties, scram)
    return SecureKafka(server, certificates, *(places[name] for name in names))


def _allow(user: str, operation: ACLOperation, topic: str) -> ACL:
    pattern = ResourcePattern(ResourceType.TOPIC, topic)
    return ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern)


def _authority(folder: Path, name: str) -> Path:
    certificate = folder / f"{name}.pem"
    _openssl(
        "req", "-x509", *_NEW_KEY, "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-keyout", folder / f"{name}.key", "-out", certificate,
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    return certificate


def _sign(folder: Path, name: str, extension: str | None) -> None:
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(extension or "")
    _openssl(
        "req", *_NEW_KEY, "-nodes", "-subj", f"/CN={name}",
        "-keyout", folder / f"{name}.key", "-out", request,
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-in", request, "-days", "2", "-CA", folder / "ca.pem",
        "-CAkey", folder / "ca.key", "-CAcreateserial", "-extfile", extensions,
        "-out", folder / f"{name}.pem",
    )  # fmt: skip


def _openssl(*arguments: object) -> None:
    subprocess.run([find("openssl"), *map(str, arguments)], check=True, capture_output=True)
