"""A Kafka broker that wants to know who is there: certificates, passwords and rights."""

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

from tests.services.certificates import Authority, Certificate
from tests.services.servers import Server, create_topic, free_port, kafka_broker

PASSWORD = "hunter2@p:w/x"
WRITER, READER, CREATOR = "eyrie", "reader", "creator"
_USERS = (WRITER, READER, CREATOR)
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required " + " ".join(
    f'user_{user}="{PASSWORD}"' for user in _USERS
)


@dataclass(frozen=True, slots=True)
class SecureKafka:
    """`server` has a plain port, where everybody may do all, and these. It is 127.0.0.1 and has no
    other name. `authority` signed its certificate and that of `client`; nobody knows `stranger`."""

    server: Server
    authority: Authority
    stranger: Authority
    client: Certificate
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
    authority, keystore = Authority(folder), folder / "server.keystore.pem"
    shown = authority.certificate()
    parts = (shown.key, shown.chain, authority.file)
    keystore.write_text("".join(part.read_text() for part in parts))
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
        "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
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
    return SecureKafka(
        server,
        authority,
        Authority(folder, "stranger"),
        authority.certificate("DNS:client", subject="client"),
        *(places[name] for name in names),
    )


def _allow(user: str, operation: ACLOperation, topic: str) -> ACL:
    pattern = ResourcePattern(ResourceType.TOPIC, topic)
    return ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern)
