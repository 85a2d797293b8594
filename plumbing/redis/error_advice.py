"""What each error of Redis means for us: one table, told to users in docs/redis.md.

Two questions are asked of it: may it pass by itself, so that trying again soon makes sense? And
what is a person to do? Whether it concerns those who only read is told as well, since a full
server, or one that became a replica, refuses writes alone.

Nothing is ever torn by a refusal: a commit is one script that checks first and then writes.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import redis.exceptions


@dataclass(frozen=True)
class ErrorAdvice:
    """What to do about an error."""

    advice: str
    is_transient: bool
    """It may pass by itself."""
    concerns_reads: bool = True


def _transient(advice: str, *, concerns_reads: bool = True) -> ErrorAdvice:
    return ErrorAdvice(advice, is_transient=True, concerns_reads=concerns_reads)


def _permanent(advice: str) -> ErrorAdvice:
    return ErrorAdvice(advice, is_transient=False)


LOGIN: Final = _permanent("check user name and password in CATEGORY_PUBLISHER_REDIS_URL")

BY_CODE: Final = {
    "READONLY": _transient(
        "it is a replica: a failover may be under way; if not, name the primary in redis_url",
        concerns_reads=False,
    ),
    "OOM": _transient("its memory is full: raise maxmemory or make room", concerns_reads=False),
    "MISCONF": _transient(
        "it cannot write to its disk: make room there, and see its log", concerns_reads=False
    ),
    "NOREPLICAS": _transient(
        "too few of its replicas are connected: see min-replicas-to-write", concerns_reads=False
    ),
    "NOPERM": _permanent("let this user's ACL allow the command: see docs/security.md"),
    "NOAUTH": LOGIN,
    "WRONGPASS": LOGIN,
    "LOADING": _transient("it is reading its files, and answers when it has"),
    "BUSY": _transient("a long script or function runs there: wait, or end it with SCRIPT KILL"),
    "CLUSTERDOWN": _transient("slots have no primary: see `redis-cli --cluster check`"),
    "MASTERDOWN": _transient("it is a replica that has lost its primary"),
    "TRYAGAIN": _transient("a slot is on its way from one primary to another"),
    "ASK": _transient("a slot is on its way from one primary to another"),
    "MOVED": _transient("a slot has gone to another primary"),
    "UNBLOCKED": _transient("its role has changed, or a slot has gone to another primary"),
    "NOSCRIPT": _transient("its scripts were flushed"),
    "WRONGTYPE": _permanent(
        "something else writes to our keys: rename or delete what is not of our type"
    ),
}
"""By the word with which the server's reply begins."""

REFUSED: Final = _permanent("the command was refused; nothing was changed by it")
UNREACHABLE: Final = _transient("is it running, and is redis_url right?")
UNREACHABLE_WITH_TLS: Final = _transient(
    "is it running, does it speak TLS on this port, does it take our certificate (see its log), "
    "and is redis_url right?"
)
BAD_TLS: Final = _permanent("check the ssl_… options of redis_url, and the server's certificate")

BY_CLASS: Final[dict[type[Exception], ErrorAdvice]] = {
    redis.exceptions.AuthenticationError: LOGIN,
    redis.exceptions.AuthorizationError: LOGIN,
    redis.exceptions.ClusterError: BY_CODE["TRYAGAIN"],
    redis.exceptions.ConnectionError: UNREACHABLE,
    redis.exceptions.TimeoutError: UNREACHABLE,
    OSError: UNREACHABLE,
}
"""Where no server's word is known: the first class that fits. To redis-py a wrong password is a
ConnectionError; a ClusterError says that a command was sent on too often."""


def advice_for(error: Exception, *, with_tls: bool = False) -> ErrorAdvice:
    """Return what is to be done about `error`, an error of redis-py or an OSError.

    A server that was spoken to `with_tls` may just hang up, or say nothing, if it speaks none.
    """
    error = _unwrapped(error)
    code = _code(error)
    if code in BY_CODE:
        return BY_CODE[code]
    if any(_is_about_tls(each) for each in chain(error)):
        return BAD_TLS
    what = next((each for kind, each in BY_CLASS.items() if isinstance(error, kind)), REFUSED)
    return UNREACHABLE_WITH_TLS if with_tls and what is UNREACHABLE else what


def _unwrapped(error: Exception) -> Exception:
    """Return what a server said to our login; on a Unix socket redis-py calls that an outage."""
    cause = error.__cause__
    is_wrapped = isinstance(error, redis.exceptions.ConnectionError)
    return cause if is_wrapped and isinstance(cause, redis.exceptions.RedisError) else error


def _code(error: Exception) -> str:
    """Return the word with which the server's reply began; redis-py strips those it knows."""
    known = getattr(error, "status_code", None)
    reply = str(error).rpartition("of pipeline caused error: ")[2]
    return known or reply.lstrip("('").partition(" ")[0]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield what led to `error`; a chain may lead back to where it was, if somebody made it so."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _is_about_tls(error: BaseException) -> bool:
    """Tell whether TLS itself was refused; a connection that ended meanwhile is an outage."""
    outages = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(error, ssl.SSLError) and not isinstance(error, outages)


def is_transient_for_reads(error: Exception) -> bool:
    """Return whether a read that failed with `error` may succeed if it is tried again later."""
    if not isinstance(error, redis.exceptions.RedisError | OSError):
        return False
    advice = advice_for(error)
    return advice.is_transient and advice.concerns_reads


def is_wrong_type(error: Exception) -> bool:
    """Return whether a key of ours holds a value of another type."""
    return isinstance(error, redis.exceptions.ResponseError) and "WRONGTYPE" in str(error)
