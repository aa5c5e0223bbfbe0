"""The words in which a Kafka sink tells its troubles: one line each, without the password."""

from collections.abc import Sequence

from pipeline.core.errors import Rejected, SinkError, SinkGone, SinkUnavailable
from pipeline.core.log import redact
from sinks.kafka.client import Settings, Trouble

_LONGEST = 400


class Wording:
    """Makes the errors of one sink."""

    def __init__(self, settings: Settings) -> None:
        self.where = ",".join(settings.servers)
        self._sink = settings.sink
        self._hide = settings.access.hide

    def line(self, text: str) -> str:
        hidden = self._hide(redact(" ".join(text.split())))
        return f"{self.where}: {hidden}"[:_LONGEST]

    def at_start(self, trouble: Trouble) -> SinkError:
        """What a trouble means at the start."""
        text = self.line(str(trouble))
        match trouble.kind:
            case "refused":
                return Rejected(self._sink, text)
            case "fenced":
                advice = "another process writes under this sink's name: give them different names"
                return SinkGone(self._sink, f"{text}: {advice}")
        return SinkUnavailable(self._sink, text)

    def on_the_way(self, trouble: Trouble) -> SinkError:
        """What a trouble means while messages wait: no reason to lose them."""
        return SinkUnavailable(self._sink, self.line(str(trouble)))

    def undelivered(self, pending: int, timeout_s: float, met: str | None) -> SinkError:
        text = f"{pending} messages not acknowledged after {timeout_s:.2g} s"
        return SinkUnavailable(self._sink, self.line(f"{text}: {met}" if met else text))

    def refused(self, messages: Sequence[tuple[str, str]]) -> Rejected:
        """The error of messages that the broker refuses, by (id, reason), at least one."""
        ids = [message_id for message_id, _ in messages]
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        text = f"refused message {', '.join(ids[:5])}{more}: {messages[0][1]}"
        return Rejected(self._sink, self.line(text), message_ids=ids)
