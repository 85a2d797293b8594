"""The response of each path, and the limits of the server."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from structlog.testing import capture_logs

from plumbing.errors import ConfigError
from publisher.web import Metrics, http_server
from publisher.web import server as web_server
from publisher.web.page import POLICY
from publisher.web.server import Routes, _ErrorHandler
from tests.publisher.web.conftest import Serve, Site, sources_of
from tests.support.scripted_source import ScriptedSource
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually, patience

POLLED_ONCE = 'category_publisher_poll_duration_seconds_count{outcome="changed"} 1.0'


async def test_a_working_publisher_is_alive_and_ready(site: Site) -> None:
    """Both respond with 200."""
    assert await site.get("/healthz") == (200, "alive\n")
    assert await site.get("/readyz") == (200, "ready\n")


@pytest.mark.parametrize("away", ["kill", "pause"])
async def test_without_redis_it_is_alive_but_not_ready(
    serve: Serve, folder: Path, away: str
) -> None:
    """Redis is down or does not answer: the reason names it within seconds."""
    with Valkey(folder) as valkey:
        site = await serve(valkey, **sources_of(["us"]))
        await site.wait_for("/readyz", "ready")
        await site.wait_for("/metrics", POLLED_ONCE)
        getattr(valkey, away)()
        await site.wait_for(
            "/metrics", "category_publisher_redis_up 0.0"
        )  # a look is good for a while
        paths = ("/healthz", "/readyz", "/", "/metrics")
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*(site.get(path) for path in paths))
        assert [status for status, _ in answers] == [200, 503, 503, 200]
        _, ready, page, text = (text for _, text in answers)
        assert f"Redis at unix://{folder}/s" in ready
        assert f"Redis at unix://{folder}/s" in page
        assert "category_publisher_redis_up 0.0\n" in text
        assert "category_publisher_categories{" not in text
        assert POLLED_ONCE in text.splitlines()
        valkey.start() if away == "kill" else valkey.resume()
        await site.wait_for("/readyz", "ready")


async def test_without_leases_it_is_not_ready(serve: Serve, folder: Path) -> None:
    """A server without free memory refuses writes; that Redis answers is not enough."""
    with Valkey(folder, "--maxmemory", "1") as valkey:
        site = await serve(valkey, **sources_of(["us"]))
        await eventually(lambda: asyncio.sleep(0, site.daemon.lease_error))
        status, text = await site.get("/readyz")
        assert (status, "the leases cannot be renewed: " in text) == (503, True)
        await site.wait_for("/metrics", "category_publisher_ready 0.0")


async def test_a_bad_request_is_no_traceback(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """A client cannot fill the log; the next request is answered as usual."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.rpartition(":")[2]))
    writer.write(b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 20_000))
    assert b" 400 " in await reader.readline()
    writer.close()
    assert await site.get("/healthz") == (200, "alive\n")
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("error", "events"),
    [
        (BadHttpMessage("too long"), []),
        (ValueError("a bug"), ["Error handling request"]),
        (None, ["Error handling request"]),
    ],
)
def test_an_error_of_aiohttp_is_logged_in_our_format(
    error: Exception | None, events: list[str]
) -> None:
    """A client's bad request is only for the level debug, all else may be our fault."""
    cause = (type(error), error, None) if error else None
    record = logging.LogRecord("aiohttp", logging.ERROR, "", 1, "Error handling request", (), cause)
    with capture_logs() as logged:
        _ErrorHandler().emit(record)
    assert [line["event"] for line in logged] == events
    assert all(line["exc_info"] is error for line in logged)


async def test_a_late_poll_is_a_reason(site: Site, sources: dict[str, ScriptedSource]) -> None:
    """A publisher that does not poll in time is not ready."""
    end = asyncio.Event()
    sources["us"].meanwhile = end.wait
    scheduled = site.daemon._scheduled["us"]
    site.daemon.replace({"us": scheduled.catalog}, [])
    await eventually(lambda: asyncio.sleep(0, sources["us"].meanwhile is None))
    scheduled = site.daemon._scheduled["us"]
    scheduled.due -= scheduled.catalog.poll_every * 2
    assert await site.get("/readyz") == (503, "1 late polls: us\n")
    assert "\ncategory_publisher_late_polls 1.0\n" in await site.text("/metrics")
    end.set()
    await site.wait_for("/readyz", "ready")


PER_ANSWER = {"Date", "Content-Type", "Content-Length"}


async def test_other_methods_and_paths(site: Site) -> None:
    """They are refused, and no response has the version of a library."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        async with site.session.request(method, f"{site.url}/", data=b"x" * 100_000) as answer:
            assert answer.status == 405
    async with site.session.get(f"{site.url}/nothing") as answer:
        assert answer.status == 404
        assert {key: value for key, value in answer.headers.items() if key not in PER_ANSWER} == {
            "Server": "category-publisher",
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }


async def test_a_huge_header_is_refused(site: Site) -> None:
    """A huge header does not fill the memory."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.rpartition(":")[2]))
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
    async with asyncio.timeout(PATIENCE):
        assert b" 400 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize("accept", ["text/plain; version=x", "application/openmetrics-text;version=a.b", "\xff"])  # fmt: skip
async def test_an_odd_accept_header(site: Site, accept: str) -> None:
    """A version that is no number gets the usual format."""
    status, text = await site.get("/metrics", Accept=accept)
    assert status == 200
    assert "category_publisher_redis_up 1.0\n" in text


async def test_an_address_in_use(site: Site) -> None:
    """It is an error if the user has chosen it, and a warning if it is the default."""
    taken = site.url.removeprefix("http://")
    host, _, port = taken.partition(":")
    reason = (
        f"http_listen {taken!r}: cannot listen there: error while attempting to bind on address "
        f"({host!r}, {port}): address already in use"
    )
    with pytest.raises(ConfigError) as caught:
        async with http_server(taken, site.daemon, Metrics(), required=True):
            pass
    assert str(caught.value) == (
        f'{reason}: choose another address (port 0: any that is free), or "off"'
    )
    with capture_logs() as logs:
        async with http_server(taken, site.daemon, Metrics(), required=False) as url:
            assert url == ""
    assert logs == [
        {
            "event": "health and metrics not served, set http_listen",
            "reason": reason,
            "log_level": "warning",
        }
    ]


@pytest.mark.parametrize("listen", ["no.such.host.invalid:0", "192.0.2.1:0", "..:0"])
async def test_an_address_of_no_interface(site: Site, listen: str) -> None:
    """The error names it."""
    with pytest.raises(ConfigError, match=listen):
        async with http_server(listen, site.daemon, Metrics(), required=True):
            pass


@pytest.mark.parametrize("client", ["waits", "reads nothing", "sends half a request", "is idle"])
async def test_a_client_that_hangs_delays_no_stop(
    site: Site, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    """Its response may take a second more; then the connection is closed."""
    hanging, release = asyncio.Event(), asyncio.Event()

    async def hang(_routes: Routes, _request: web.Request) -> web.Response:
        hanging.set()
        await release.wait()
        return web.Response(text="x" * 50_000_000)

    monkeypatch.setattr(Routes, "readyz", hang)
    monkeypatch.setattr(web_server, "GRACE_SECONDS", 0.05)
    serving = http_server("127.0.0.1:0", site.daemon, Metrics(), required=True)
    async with AsyncExitStack() as stack, asyncio.timeout(patience(10)):
        async with serving as url:
            port = int(url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
            stack.callback(writer.close)
            if client != "is idle":
                end = b"" if client == "sends half a request" else b"\r\n"
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n" + end)
            if client in {"waits", "reads nothing"}:
                await hanging.wait()
            if client == "reads nothing":
                release.set()
                await reader.read(1)
        await reader.read()  # until its end


def test_a_stop_gives_responses_about_a_second() -> None:
    """The rest of a service's time to stop is for polls and leases."""
    assert 0.5 <= web_server.GRACE_SECONDS <= 2


async def test_it_can_be_switched_off(site: Site) -> None:
    """Then nothing is served."""
    async with http_server("off", site.daemon, Metrics(), required=True) as url:
        assert url == ""


async def test_ipv6(site: Site) -> None:
    """An address in brackets is accepted."""
    async with http_server("[::1]:0", site.daemon, Metrics(), required=True) as url:
        assert url.startswith("http://[::1]:")
        async with site.session.get(f"{url}/healthz") as answer:
            assert answer.status == 200
