"""The log of kafka-python while it works: kept for errors, out of everybody's way."""

import copy
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kafka.errors import KafkaConnectionError, KafkaTimeoutError, SaslAuthenticationFailedError

from pipeline.core.log import get_logger, redact

log = get_logger(__name__)


class ClientLog(logging.Handler):
    """Keeps the last error that the client met, for it says why, and passes its lines on as debug.

    kafka-python logs loudly what the sink tells in its own errors, so its lines go nowhere else.
    Lines belong to the sink whose producer's thread, or whose `opening`, wrote them. Its debug
    lines hold passwords: they are never written.

    A broker that refuses a password hangs up behind its answer, and kafka-python often misses the
    answer. So with `logs_in`, a broker that hangs up during a login has refused it.
    """

    def __init__(
        self,
        client_id: str,
        hide: Callable[[str], str],
        is_refusal: Callable[[BaseException], bool],
        logs_in: bool,
    ) -> None:
        super().__init__(logging.INFO)
        self._logs_in = logs_in
        self._is_logging_in = False
        self._is_refusal = is_refusal
        self.error: BaseException | None = None
        self._hide = hide
        self._thread_name = f"{client_id}-network-thread"
        self._opening: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName != self._thread_name and record.thread != self._opening:
            return
        log.debug("client: %s", self._hide(redact(record.getMessage())))
        self._watch_login(str(record.msg))
        args = record.args if isinstance(record.args, tuple) else ()
        for met in args:
            if isinstance(met, Exception) and not isinstance(met, KafkaTimeoutError):
                self._keep(met)

    def _watch_login(self, said: str) -> None:
        """Between these two lines is the login and nothing else."""
        if "Broker version identified" in said:
            self._is_logging_in = self._logs_in
        elif said.endswith(": Connected"):
            self._is_logging_in = False

    def _keep(self, met: Exception) -> None:
        """A refusal is not covered by what follows it."""
        if self._is_logging_in and isinstance(met, KafkaConnectionError):
            met = SaslAuthenticationFailedError("the broker hung up during the login")
        if self.error is None or not self._is_refusal(self.error) or self._is_refusal(met):
            # A copy has no traceback, whose frames would keep dead sockets.
            self.error = copy.copy(met)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Hear the producer until `detach`, and within the block this thread too."""
        logger = logging.getLogger("kafka")
        logger.addHandler(self)
        logger.propagate = False
        logger.setLevel(logging.INFO)
        self._opening = threading.get_ident()
        try:
            yield
        finally:
            self._opening = None

    def detach(self) -> None:
        logging.getLogger("kafka").removeHandler(self)
