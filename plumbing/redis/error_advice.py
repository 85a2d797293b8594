"""The table of Redis errors: which are transient, and what to do about each.

docs/redis.md explains it to users. A server that is full, or has become a replica, refuses only
writes: so the table also has whether an error concerns reads.

No refusal leaves a partial write: a commit is one script that first checks and then writes.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import redis.exceptions


@dataclass(frozen=True)
class ErrorAdvice:
    """What to do about an error."""

    advice: str
    is_transient: bool
    """Whether the same command may succeed later."""
    concerns_reads: bool = True


_permanent = partial(ErrorAdvice, is_transient=False)
_transient = partial(ErrorAdvice, is_transient=True)
_no_writes = partial(_transient, concerns_reads=False)  # reads are still answered

LOGIN: Final = _permanent("check user name and password in CATEGORY_PUBLISHER_REDIS_URL")

BY_CODE: Final = {
    "READONLY": _no_writes(
        "it is a replica: a failover may be under way; if not, name the primary in redis_url"
    ),
    "OOM": _no_writes("its memory is full: raise maxmemory or make room"),
    "MISCONF": _no_writes("it cannot write to its disk: make room there, and see its log"),
    "NOREPLICAS": _no_writes("too few of its replicas are connected: see min-replicas-to-write"),
    "NOPERM": _permanent("let this user's ACL allow the command: see docs/security.md"),
    "NOAUTH": LOGIN,
    "WRONGPASS": LOGIN,
    "LOADING": _transient("it is reading its files: wait until it has finished"),
    "BUSY": _transient("a long script or function runs there: wait, or end it with SCRIPT KILL"),
    "CLUSTERDOWN": _transient("slots have no primary: see `redis-cli --cluster check`"),
    "MASTERDOWN": _transient("it is a replica that has lost its primary"),
    "TRYAGAIN": _transient("a slot is being moved from one primary to another"),
    "ASK": _transient("a slot is being moved from one primary to another"),
    "MOVED": _transient("a slot has moved to another primary"),
    "UNBLOCKED": _transient("its role has changed, or a slot has moved to another primary"),
    "NOSCRIPT": _transient("its scripts were flushed"),
    "WRONGTYPE": _permanent(
        "something else writes to our keys: rename or delete what is not of our type"
    ),
}
"""By the first word of the server's reply."""

REFUSED: Final = _permanent("the command was refused; nothing was changed by it")
UNREACHABLE: Final = _transient("is it running, and is redis_url right?")
UNREACHABLE_WITH_TLS: Final = _transient(
    "is it running, does it speak TLS on this port, does it take our certificate (see its log), "
    "and is redis_url right?"
)
TLS_OUTAGES: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors of TLS that only say that the connection ended."""
BAD_TLS: Final = _permanent("check the ssl_… options of redis_url, and the server's certificate")

BY_CLASS: Final[dict[type[Exception], ErrorAdvice]] = {
    redis.exceptions.AuthenticationError: LOGIN,
    redis.exceptions.AuthorizationError: LOGIN,
    redis.exceptions.ClusterError: BY_CODE["TRYAGAIN"],
    redis.exceptions.ConnectionError: UNREACHABLE,
    redis.exceptions.TimeoutError: UNREACHABLE,
    OSError: UNREACHABLE,
}
"""For errors without such a word, by the first class that fits. redis-py's AuthenticationError is a
ConnectionError too; its ClusterError means that a command was redirected too often."""


def advice_for(error: Exception, *, with_tls: bool = False) -> ErrorAdvice:
    """Return what to do about `error`, an error of redis-py or an OSError.

    `with_tls` says whether the connection used TLS: a server without TLS may just close it, or not
    answer.
    """
    if isinstance(error, redis.exceptions.ConnectionError) and isinstance(
        error.__cause__, redis.exceptions.RedisError
    ):
        error = error.__cause__  # a refused login, which redis-py wraps so on Unix sockets
    # the first word of the server's reply; redis-py removes those that it has classes for
    reply = str(error).rpartition("of pipeline caused error: ")[2]
    code = getattr(error, "status_code", None) or reply.lstrip("('").partition(" ")[0]
    if code in BY_CODE:
        return BY_CODE[code]
    tls_errors = (each for each in chain_of(error) if isinstance(each, ssl.SSLError))
    if any(not isinstance(each, TLS_OUTAGES) for each in tls_errors):
        return BAD_TLS
    advice = next((each for kind, each in BY_CLASS.items() if isinstance(error, kind)), REFUSED)
    return UNREACHABLE_WITH_TLS if with_tls and advice is UNREACHABLE else advice


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error`, its cause, and so on.

    Each error is yielded once, since such a chain can be circular.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def is_transient_for_reads(error: Exception) -> bool:
    """Return whether a read that failed with `error` may succeed later."""
    if not isinstance(error, redis.exceptions.RedisError | OSError):
        return False
    advice = advice_for(error)
    return advice.is_transient and advice.concerns_reads


def is_wrong_type(error: Exception) -> bool:
    """Return whether a key of ours holds a value of another type."""
    return isinstance(error, redis.exceptions.ResponseError) and "WRONGTYPE" in str(error)
