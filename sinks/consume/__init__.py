"""Reading messages back: for consumers, `eyrie tail` and `eyrie verify`."""

from sinks.consume.base import ConsumeError, ConsumeUnavailable
from sinks.consume.client import Account, Consumer, consume
from sinks.consume.memory import Gap

__all__ = ["Account", "ConsumeError", "ConsumeUnavailable", "Consumer", "Gap", "consume"]
