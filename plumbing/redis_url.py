"""Parses a `redis_url`: one server, the primary that Sentinels name, or a Cluster.

    redis://user:password@host:6379/0       one server (with TLS: rediss://)
    unix:///path/of/redis.sock?db=0         one server, on a Unix socket
    redis-sentinel://user:password@host:26379,host:26379/0?master=name
                                            the primary `name` of Sentinels (rediss-sentinel://)
    redis-cluster://user:password@host:7000,host:7001
                                            some nodes of a Cluster (rediss-cluster://)

redis-py parses user names, options and certificates, from a URL with only the first host.
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
CUT_SHORT: Final = (
    "the address ends at a ? # or / that may belong to a password: there it is %3F, %23 and %2F"
)
"""The message does not show the rest: most likely it is the end of a password."""
OPTION_NAME: Final = re.compile("[a-z_]+")
PARTS: Final = re.compile(r"([^/?#]*//)([^/?#]*)(.*)", re.DOTALL)
"""The scheme, user and hosts, and what comes after them (RFC 3986, appendix B)."""
SCHEME: Final = re.compile(r"(unix)|(rediss?)(?:-(sentinel|cluster))?")
OPTIONS: Final = frozenset({"db", "username", "password", "client_name"})
"""The options that are allowed after `?`. The others of redis-py would change how this program uses
the connection."""
SENTINEL_OPTIONS: Final = frozenset({"master", "sentinel_username", "sentinel_password"})
TLS_OPTIONS: Final = frozenset(
    name for name in inspect.signature(SSLConnection).parameters if name.startswith("ssl_")
)
DEFAULT_PORT: Final = {"sentinel": 26379, "cluster": 6379}


class Topology(enum.StrEnum):
    """How the servers behind a `redis_url` belong together."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class Address:
    """A parsed `redis_url`. Its `repr` contains no password."""

    topology: Topology
    shown: str
    """The address for messages, without user name, password and options except the database."""
    options: dict[str, Any] = field(repr=False)
    """redis-py's options of a connection: host, port or path, database, user, TLS."""
    hosts: tuple[tuple[str, int], ...] = ()
    """Host and port of each Sentinel, or of some of the Cluster's nodes."""
    master: str = ""
    """The name that the Sentinels give to the primary."""
    sentinel_options: dict[str, Any] = field(default_factory=dict, repr=False)
    """redis-py's options of a connection to a Sentinel: its own user, and the same TLS."""

    @property
    def has_tls(self) -> bool:
        """Whether connections use TLS."""
        return self.options.get("connection_class") is SSLConnection


def parse(url: str) -> Address:
    """Parse `url`. Raises ValueError that says what is wrong, without a password."""
    url, others = _split_off_other_hosts(url)
    try:
        parts = urlsplit(url)
        scheme = SCHEME.fullmatch(parts.scheme)
    except ValueError:
        scheme = None
    if scheme is None:
        raise ValueError(f"not a Redis address: {FORMS}")
    if parts.fragment or (parts.netloc and "@" in parts.path):
        raise ValueError(CUT_SHORT)
    protocol, topology = scheme[1] or scheme[2], Topology(scheme[3] or "single")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check_options(query, topology, protocol)
    first = parts.netloc.rpartition("@")[2]
    plain = urlencode({name: query[name] for name in query.keys() - SENTINEL_OPTIONS})
    options = _parse_one_server(f"{protocol}://{parts.netloc}{parts.path}?{plain}")
    shown = f"{parts.scheme}://{','.join((first, *others))}{parts.path}"
    if "db" in query:
        shown += f"?db={options['db']}"
    if topology is Topology.SINGLE:
        if others:
            raise ValueError("several hosts are for redis-sentinel:// and redis-cluster://")
        return Address(topology, shown, options)
    hosts = tuple(_parse_host(each, DEFAULT_PORT[topology]) for each in (first, *others))
    shared = {name: value for name, value in options.items() if name not in {"host", "port"}}
    if topology is Topology.CLUSTER:
        if shared.pop("db", 0) != 0:
            raise ValueError("a Redis Cluster has only database 0: omit the number")
        return Address(topology, shown, shared, hosts)
    return _sentinel(shown, shared, hosts, query)


def _split_off_other_hosts(url: str) -> tuple[str, list[str]]:
    """Return `url` with its first host only, and the other hosts.

    Since the security fixes of 2025 (3.11.12, and Debian's 3.11.2) Python refuses a host before the
    brackets of an IPv6 address.
    """
    parts = PARTS.fullmatch(re.sub(r"[\t\r\n]", "", url))  # as urlsplit does
    if parts is None:
        return url, []
    user, at, hosts = parts[2].rpartition("@")
    first, *others = hosts.split(",")
    return f"{parts[1]}{user}{at}{first}{parts[3]}", others


def _check_options(query: dict[str, str], topology: Topology, protocol: str) -> None:
    known = OPTIONS
    if protocol == "rediss":
        known |= TLS_OPTIONS
    if topology is Topology.SENTINEL:
        known |= SENTINEL_OPTIONS
    for option in query:
        if not OPTION_NAME.fullmatch(option):
            raise ValueError(CUT_SHORT)
        if option not in known:
            raise ValueError(f"the option {option} cannot be used here")


def _parse_one_server(url: str) -> dict[str, Any]:
    """Return redis-py's options of a connection to the server at `url`."""
    parts = urlsplit(url)
    database = parts.path.strip("/") if parts.scheme != "unix" else ""
    try:
        options: dict[str, Any] = {**parse_url(url)}
    except ValueError:
        raise ValueError(f"not a Redis address: {FORMS}") from None
    if database and not database.isdecimal():  # redis-py would use database 0
        raise ValueError(f"not a Redis address: {FORMS}")
    if database and "db" in dict(parse_qsl(parts.query)):
        raise ValueError("the database is given twice: omit /… or db=…")
    if parts.scheme == "unix" and not parts.path:
        raise ValueError("unix:// needs the path of a socket: unix:///path")
    if parts.scheme == "rediss":
        options.setdefault("ssl_password", "")  # without it OpenSSL asks for it on the terminal
        tls = {name: options[name] for name in options.keys() & TLS_OPTIONS}
        try:  # a wrong certificate, key or option is a mistake, not an outage
            SSLConnection(**tls).ssl_context.get()
        except (redis.exceptions.RedisError, OSError, ValueError, TypeError) as error:
            names = ", ".join(sorted(tls.keys() - {"ssl_password"})) or "TLS"
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"{names} cannot be used: {reason}") from None
    return options


def _parse_host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise ValueError(f"not a host and its port: {text!r}; {FORMS}")
    return host, port or default_port


def _sentinel(
    shown: str, options: dict[str, Any], hosts: tuple[tuple[str, int], ...], query: dict[str, str]
) -> Address:
    if not query.get("master"):
        raise ValueError("Sentinels need the name of their primary: …?master=mymaster")
    alike = TLS_OPTIONS | {"connection_class", "client_name"}
    sentinel_options = {name: options[name] for name in options.keys() & alike}
    for name in ("username", "password"):
        if value := query.get(f"sentinel_{name}"):
            sentinel_options[name] = value
    return Address(Topology.SENTINEL, shown, options, hosts, query["master"], sentinel_options)
