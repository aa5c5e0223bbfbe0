"""The transaction that a flush ends: from its first message to its commit."""

import time

from sinks.kafka.client import Client, Settings


class Transaction:
    """The transaction of one producer; one after the other. Without a transactional id none ever
    begins. A broker undoes one that is older than `Tuning.transaction_timeout_s`, and may have
    forgotten it then."""

    def __init__(self, settings: Settings) -> None:
        self.is_used = settings.transactional_id is not None
        self.is_committing = False
        """True from the first try to commit: nothing more may be sent in it."""
        self._timeout_s = settings.tuning.transaction_timeout_s
        self._begun_s: float | None = None

    @property
    def _age_s(self) -> float:
        return 0.0 if self._begun_s is None else time.monotonic() - self._begun_s

    @property
    def is_overdue(self) -> bool:
        """True if the broker undoes it now."""
        return self._age_s > self._timeout_s

    @property
    def is_young(self) -> bool:
        """True if it is too young for the broker to have undone it."""
        return self._begun_s is None or self._age_s < self._timeout_s / 2

    def patience_s(self, left_s: float) -> float:
        """How long of `left_s` to wait for an answer: one that a broker has forgotten is never
        answered, so no longer than it lasts."""
        if self._begun_s is None:
            return left_s
        return min(left_s, max(0.1, self._timeout_s - self._age_s))

    def begin(self, client: Client) -> None:
        """Open it, where it is used and not open, before a message is sent. Raises `Trouble`."""
        if self.is_used and self._begun_s is None:
            client.open_transaction()
            self._begun_s = time.monotonic()

    def commit(self, client: Client, timeout_s: float) -> None:
        """Commit it. Raises `Trouble`; after `away` it goes on, and is to be committed again."""
        self.is_committing = True
        client.commit(timeout_s)
        self.forget()

    def forget(self) -> None:
        """Forget it: it has ended, or its client is gone."""
        self._begun_s, self.is_committing = None, False
