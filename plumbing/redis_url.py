"""What a `redis_url` says: one server, the primary that Sentinels name, or a Cluster.

    redis://user:password@host:6379/0       one server (with TLS: rediss://)
    unix:///path/of/redis.sock?db=0         one server, on a Unix socket
    redis-sentinel://user:password@host:26379,host:26379/0?master=name
                                            whom the Sentinels call primary (rediss-sentinel://)
    redis-cluster://user:password@host:7000,host:7001
                                            a Cluster, some of its nodes (rediss-cluster://)

What a user name, an option or a certificate means is redis-py's business in all of them: it is
asked about the address as if there were only the first host.
"""

import enum
import inspect
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis.exceptions
from redis.asyncio.connection import SSLConnection, parse_url

FORMS: Final = (
    "redis://host:6379/0, unix:///path, redis-sentinel://host:26379,host:26379/0?master=name or "
    "redis-cluster://host:7000,host:7001; with TLS rediss://, rediss-sentinel:// and "
    "rediss-cluster://"
)
CUT: Final = (
    "the address ends at a ? # or / that may belong to a password: there it is %3F, %23 and %2F"
)
"""What follows is not shown: most likely it is the rest of a password."""
PLAIN_WORD: Final = re.compile("[a-z_]+")
WITH_HOSTS: Final = re.compile(r"([^/?#]*//)([^/?#]*)(.*)", re.DOTALL)
"""What is before the user and hosts, those, and what is behind them (RFC 3986, appendix B)."""
SCHEME: Final = re.compile(r"(unix)|(rediss?)(?:-(sentinel|cluster))?")
OPTIONS: Final = frozenset({"db", "username", "password", "client_name"})
"""What may follow the `?`: the rest of what redis-py knows would change how this program talks to
Redis."""
SENTINEL_OPTIONS: Final = frozenset({"master", "sentinel_username", "sentinel_password"})
TLS_OPTIONS: Final = frozenset(
    name for name in inspect.signature(SSLConnection).parameters if name.startswith("ssl_")
)
DEFAULT_PORT: Final = {"sentinel": 26379, "cluster": 6379}


class Kind(enum.StrEnum):
    """How the server is found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class Address:
    """A `redis_url`, read. Its `repr` holds no password."""

    kind: Kind
    shown: str
    """For messages: without user name, password and options other than the database."""
    options: dict[str, Any] = field(repr=False)
    """Of a connection, in redis-py's words: host, port or path, database, user, TLS."""
    hosts: tuple[tuple[str, int], ...] = ()
    """Of the Sentinels, or of some of the Cluster's nodes."""
    master: str = ""
    """What the Sentinels call the primary."""
    sentinel_options: dict[str, Any] = field(default_factory=dict, repr=False)
    """Of a connection to a Sentinel: its own user, and the same TLS."""

    @property
    def has_tls(self) -> bool:
        """Whether the servers are spoken to with TLS."""
        return self.options.get("connection_class") is SSLConnection


def parse(url: str) -> Address:
    """Return what `url` says; a ValueError tells what is wrong with it, and no password."""
    url, others = _without_other_hosts(url)
    try:
        parts = urlsplit(url)
        scheme = SCHEME.fullmatch(parts.scheme)
    except ValueError:
        scheme = None
    if scheme is None:
        raise ValueError(f"not a Redis address: {FORMS}")
    if parts.fragment or (parts.netloc and "@" in parts.path):
        raise ValueError(CUT)
    protocol, kind = scheme[1] or scheme[2], Kind(scheme[3] or "single")
    own = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check_options(own, kind, protocol)
    first = parts.netloc.rpartition("@")[2]
    plain = urlencode({name: own[name] for name in own.keys() - SENTINEL_OPTIONS})
    options = _read(f"{protocol}://{parts.netloc}{parts.path}?{plain}")
    shown = f"{parts.scheme}://{','.join((first, *others))}{parts.path}"
    if "db" in own:
        shown += f"?db={options['db']}"
    if kind is Kind.SINGLE:
        if others:
            raise ValueError("several hosts are for redis-sentinel:// and redis-cluster://")
        return Address(kind, shown, options)
    hosts = tuple(_host(each, DEFAULT_PORT[kind]) for each in (first, *others))
    shared = {name: value for name, value in options.items() if name not in {"host", "port"}}
    if kind is Kind.CLUSTER:
        return _cluster(shown, shared, hosts)
    return _sentinel(shown, shared, hosts, own)


def _without_other_hosts(url: str) -> tuple[str, list[str]]:
    """Return `url` with its first host only, and the other hosts.

    Python takes the brackets of an IPv6 address for the whole host since its security fixes of 2025
    (3.11.12, and Debian's 3.11.2), and refuses another host before them.
    """
    found = WITH_HOSTS.fullmatch(re.sub(r"[\t\r\n]", "", url))  # as urlsplit does
    if found is None:
        return url, []
    user, at, place = found[2].rpartition("@")
    first, *others = place.split(",")
    return f"{found[1]}{user}{at}{first}{found[3]}", others


def _check_options(own: dict[str, str], kind: Kind, protocol: str) -> None:
    known = OPTIONS
    if protocol == "rediss":
        known |= TLS_OPTIONS
    if kind is Kind.SENTINEL:
        known |= SENTINEL_OPTIONS
    for option in own:
        if option in known:
            continue
        if not PLAIN_WORD.fullmatch(option):
            raise ValueError(CUT)
        raise ValueError(f"the option {option} cannot be used here")


def _read(url: str) -> dict[str, Any]:
    """Return what redis-py makes of the address of one server."""
    parts = urlsplit(url)
    database = parts.path.strip("/") if parts.scheme != "unix" else ""
    try:
        options: dict[str, Any] = {**parse_url(url)}
    except ValueError:
        raise ValueError(f"not a Redis address: {FORMS}") from None
    if database and not database.isdecimal():  # redis-py would take it for 0
        raise ValueError(f"not a Redis address: {FORMS}")
    if database and "db" in dict(parse_qsl(parts.query)):
        raise ValueError("the database is given twice: leave out /… or db=…")
    if parts.scheme == "unix" and not parts.path:
        raise ValueError("unix:// needs the path of a socket: unix:///path")
    if parts.scheme == "rediss":
        options.setdefault("ssl_password", "")  # OpenSSL would ask the terminal for it
        _check_tls(options)
    return options


def _check_tls(options: dict[str, Any]) -> None:
    """Let a wrong certificate, key or option be a mistake in the configuration, not an outage."""
    own = {name: value for name, value in options.items() if name in TLS_OPTIONS}
    try:
        SSLConnection(**own).ssl_context.get()
    except (redis.exceptions.RedisError, OSError, ValueError, TypeError) as error:
        named = sorted(own.keys() - {"ssl_password"})
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{', '.join(named) or 'TLS'} cannot be used: {reason}") from None


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise ValueError(f"not a host and its port: {text!r}; {FORMS}")
    return host, port or default_port


def _cluster(shown: str, options: dict[str, Any], hosts: tuple[tuple[str, int], ...]) -> Address:
    if options.pop("db", 0) != 0:
        raise ValueError("a Redis Cluster has no database but 0: leave the number out")
    return Address(Kind.CLUSTER, shown, options, hosts)


def _sentinel(
    shown: str, options: dict[str, Any], hosts: tuple[tuple[str, int], ...], own: dict[str, str]
) -> Address:
    if not own.get("master"):
        raise ValueError("Sentinels need the name of what they watch: …?master=mymaster")
    sentinel_options = {
        name: value
        for name, value in options.items()
        if name in {*TLS_OPTIONS, "connection_class", "client_name"}
    }
    for name in ("username", "password"):
        if value := own.get(f"sentinel_{name}"):
            sentinel_options[name] = value
    return Address(Kind.SENTINEL, shown, options, hosts, own["master"], sentinel_options)
