"""kafka-python's producer, and how it or an admin client is made without leaving sockets open."""

from collections.abc import Mapping
from typing import Any

from kafka import KafkaProducer
from kafka.net.compat import KafkaNetClient

from sinks.kafka.client import Settings


class PatientProducer(KafkaProducer):  # type: ignore[misc]  # kafka-python has no types
    """With a `close` that does not flush, for kafka-python's raises when the broker is dead and
    leaves its thread running; and with a commit that one can wait for, and stop waiting."""

    def flush(self, timeout: float | None = None) -> None:
        """Nothing: the sink waits for its futures itself."""

    def begin_commit(self) -> Any:
        """Ask for the end of the transaction; what is returned has `wait(timeout_ms) -> bool`."""
        return self._woken(self._transaction_manager.begin_commit())

    def begin_abort(self) -> Any:
        """The same for undoing it."""
        return self._woken(self._transaction_manager.begin_abort())

    def _woken(self, result: Any) -> Any:
        self._sender.wakeup()
        return result


def connect(
    kind: type, settings: Settings, security: Mapping[str, Any], timeout_s: float, **options: Any
) -> Any:
    """Make an object of this kind, connected to the sink's servers."""
    clients: list[KafkaNetClient] = []

    def client(**config: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**config))
        return clients[0]

    try:
        return kind(
            bootstrap_servers=list(settings.servers),
            bootstrap_timeout_ms=int(timeout_s * 1000),
            reconnect_backoff_max_ms=1000,
            kafka_client=client,
            **security,
            **options,
        )
    except BaseException:
        # kafka-python leaves its sockets open when it cannot start.
        for opened in clients:
            opened.close()
        raise
