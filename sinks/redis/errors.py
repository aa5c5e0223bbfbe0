"""The errors of redis-py as those of a sink."""

import re
import ssl
from collections.abc import Iterator
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    DataError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.sentinel import MasterNotFoundError

from pipeline.core.errors import Rejected, SinkError, SinkUnavailable

_CONNECTING: Final = re.compile(r"^Error -?\d+ connecting to \S+ ")

FAILURES: Final = (RedisError, RedisClusterException, OSError)
"""The errors that a client raises for what happens at the other end."""

_DENIED: Final = (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
)
# NOAUTH reaches pipelines as a plain response; a script's errors may have words before the code.
_DENIED_CODES: Final = ("NOAUTH", "NOPERM", "WRONGPASS")
# What an operator, a failover or a consumer that catches up can mend.
_PASSING: Final = (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
_PASSING_CODES: Final = (
    "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY",
    "TRYAGAIN", "UNKILLABLE",
)  # fmt: skip


def reason(error: Exception) -> str:
    """Why, on one short line without a full stop: redis-py puts the whole command, body included,
    or the address, which is told before it, in front of the reason."""
    if isinstance(error, MasterNotFoundError):
        return _no_master(str(error))
    text = " ".join(str(error).rsplit("caused error: ", maxsplit=1)[-1].split())
    text = _CONNECTING.sub("", text.split(" script: ", 1)[0])
    return text[:200].rstrip(".") or type(error).__name__


def _no_master(text: str) -> str:
    """Without the clients that redis-py shows, in some versions with their passwords."""
    what, _, clients = text.partition(" : ")
    if "AuthenticationError" in clients:
        return f"{what}: the Sentinels refuse sentinel_user or sentinel_password"
    return f"{what}: {'no Sentinel answers' if clients else 'no Sentinel knows it, or it is down'}"


def told(sink: str, where: str, error: Exception) -> SinkError:
    """`Rejected` without ids where Redis refuses what we are or do, such as our password, our
    rights, or a key that holds something else: no message is given up for what an operator can
    mend. `SinkUnavailable` for what may pass by itself."""
    refused = any(_refuses_sink(each) for each in _chain(error)) or (
        isinstance(error, ResponseError | DataError)
        and not isinstance(error, _PASSING)
        and not _has_code(error, _PASSING_CODES)
    )
    return (Rejected if refused else SinkUnavailable)(sink, f"{where}: {reason(error)}")


def _has_code(error: Exception, codes: tuple[str, ...]) -> bool:
    """Redis 7 begins with the code; Redis 6 puts `Error running script …: -` before it."""
    words = reason(error).split(" ")
    return words[0] in codes or any(word.removeprefix("-") in codes for word in words[3:])


def _refuses_sink(error: BaseException) -> bool:
    if isinstance(error, MasterNotFoundError):
        return "AuthenticationError" in str(error)
    return (
        isinstance(error, (*_DENIED, ssl.SSLCertVerificationError))
        or "CERTIFICATE_VERIFY_FAILED" in str(error)
        or (isinstance(error, Exception) and _has_code(error, _DENIED_CODES))
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
