"""A `redis_url` is parsed, or rejected without showing its password."""

import pytest

from plumbing.redis_url import Topology, parse
from tests.support.messages import whole


def test_parses_sentinels() -> None:
    """A URL has the Sentinels' hosts, their primary's name, and their own user.

    No password is shown.
    """
    address = parse(
        "redis-sentinel://app:hush@one:26380,two,[::1]:26381/2?master=shop"
        "&sentinel_username=watch&sentinel_password=secret&client_name=x"
    )
    assert address.topology is Topology.SENTINEL
    assert address.hosts == (("one", 26380), ("two", 26379), ("::1", 26381))
    assert address.master == "shop"
    assert address.options == {"username": "app", "password": "hush", "db": 2, "client_name": "x"}
    assert address.sentinel_options == {
        "username": "watch", "password": "secret", "client_name": "x"
    }  # fmt: skip
    assert address.shown == "redis-sentinel://one:26380,two,[::1]:26381/2"
    assert "hush" not in repr(address)
    assert "secret" not in repr(address)


def test_parses_a_cluster() -> None:
    """Some of its nodes; its only database may be written."""
    address = parse("redis-cluster://:hush@one,two:7001/0")
    assert address.topology is Topology.CLUSTER
    assert address.hosts == (("one", 6379), ("two", 7001))
    assert address.options == {"password": "hush"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis-cluster://:hush@one/1", "has only database 0"),
        ("redis-sentinel://:hush@one", "master=mymaster"),
        ("redis://:hush@one,two", "several hosts are for redis-sentinel:// and redis-cluster://"),
        ("redis-cluster://:hush@one,:7", "not a host and its port: ':7'"),
        ("redis-cluster://:hush@one,two:x", "not a host and its port: 'two:x'"),
        ("redis-cluster://:hush@one?master=x", "the option master cannot be used here"),
        ("redis-ring://:hush@one", "not a Redis address"),
        ("redis://:hush@one:99999", "not a Redis address"),
        ("redis://:hush@one/1/2", "not a Redis address"),
        ("redis://:hush@one/3?db=0", "the database is given twice"),
        ("redis-sentinel://:hush@one/3?db=3&master=x", "the database is given twice"),
        ("unix:///x?password=hush&db=three", "not a Redis address"),
        ("unix-cluster:///x?password=hush", "not a Redis address"),
        ("unix://?password=hush", "needs the path of a socket"),
        ("rediss://:hush@one?ssl_ca_certs=/nope", "ssl_ca_certs cannot be used: No such file"),
        ("rediss-cluster://:hush@one?ssl_cert_reqs=x", "ssl_cert_reqs cannot be used: Invalid"),
        ("rediss://:hush@one?ssl_nothing=x", "the option ssl_nothing cannot be used here"),
    ],
)
def test_rejects_a_wrong_address(url: str, message: str) -> None:
    """The message says what is wrong, and never shows a password."""
    with pytest.raises(ValueError, match=r".") as raised:
        parse(url)
    assert message in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("unix:///run/s?db=3&password=hush", "unix:///run/s?db=3"),
        ("redis://:hush@one?client_name=x&db=3", "redis://one?db=3"),
        ("redis://:hush@one/3", "redis://one/3"),
        ("unix:///run/s?password=hush", "unix:///run/s"),
    ],
)
def test_shows_the_database(url: str, shown: str) -> None:
    """Two databases of one server are two locations."""
    assert parse(url).shown == shown


@pytest.mark.parametrize("mark", ["?", "#", "/"])
def test_does_not_show_a_password_with_an_unescaped_mark(mark: str) -> None:
    """The rest of the password looks like an option, a fragment or a path."""
    with pytest.raises(
        ValueError,
        match=whole(
            "the address ends at a ? # or / that may belong to a password: there it is %3F, %23 and %2F"
        ),
    ) as caught:
        parse(f"redis://user:12345{mark}cret@127.0.0.1:6379/0")
    assert "cret" not in str(caught.value)
    assert "12345" not in str(caught.value)
