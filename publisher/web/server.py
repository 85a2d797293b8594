"""The HTTP server: where it listens, what it answers, and what it does not put up with.

It only tells, and changes nothing, so it asks for no password; by default it is on loopback. What
it tells are names and numbers, never a secret. A web page that turns its own host name to 127.0.0.1
(DNS rebinding) could read that, which we put up with: checking the Host header would lock out
whoever scrapes by another name.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from plumbing import logs
from plumbing.errors import ConfigError, RedisError
from publisher.polling.daemon import Daemon
from publisher.web.metrics import Metrics, encode_scrape
from publisher.web.overview_cache import OverviewCache, reached
from publisher.web.page import POLICY, PublisherInfo, page

log = logs.logger(__name__)

OFF: Final = "off"
IDLE_SECONDS: Final = 30.0
"""For a connection's next request, its first too, to have come in whole."""
GRACE_SECONDS: Final = 1.0
"""For answers under way at the end."""
NAMED: Final = 5
"""Late catalogs that are named; the rest is counted."""
HEADERS: Final = {
    "Server": "category-publisher",
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@asynccontextmanager
async def http_server(
    listen: str, daemon: Daemon, metrics: Metrics, *, required: bool
) -> AsyncIterator[str]:
    """Serve on `listen` ("host:port", port 0 for any, or "off") for as long as the context lasts.

    Gives the address, such as `http://127.0.0.1:9464`, or "" if nothing is served. What cannot be
    listened on is a ConfigError if `required`, and a warning if not: two publishers on one machine
    are usual, and the default address is there once.
    """
    if listen == OFF:
        yield ""
        return
    runner = web.AppRunner(
        Routes(daemon, metrics).app(),
        access_log=None,
        logger=_errors_logger(),
        keepalive_timeout=IDLE_SECONDS,
        lingering_time=0,  # who sends a body gets no patience: no request here has one
        shutdown_timeout=GRACE_SECONDS,
    )
    await runner.setup()
    try:
        yield await _bound(runner, listen, required=required)
    finally:
        await runner.cleanup()


def _errors_logger() -> logging.Logger:
    """Return where aiohttp logs errors: a stranger's bad request is no traceback in our log."""
    logger = logging.Logger("publisher.web")  # noqa: LOG001  none that others could set up
    logger.addHandler(_Told(logging.INFO))
    return logger


class _Told(logging.Handler):
    """Tells aiohttp's errors as the rest of this program does."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            log.debug("bad request", error=error.message)
        else:
            log.error(record.getMessage(), exc_info=error)


async def _bound(runner: web.AppRunner, listen: str, *, required: bool) -> str:
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except (OSError, UnicodeError) as error:  # a host's name can be none at all
        said = error.strerror if isinstance(error, OSError) else "that is no host"
        reason = f"http_listen {listen!r}: cannot listen there: {said}"
        if required:
            raise ConfigError(
                f'{reason}: choose another address (port 0: any that is free), or "off"'
            ) from error
        log.warning("health and metrics are not served: set http_listen", reason=reason)
        return ""
    url = f"http://{host}:{runner.addresses[0][1]}"
    log.info("health and metrics are served", url=url)
    return url


class Routes:
    """What each path answers."""

    def __init__(self, daemon: Daemon, metrics: Metrics) -> None:
        self._daemon = daemon
        self._metrics = metrics
        self._mine = OverviewCache(
            daemon, lambda _known: daemon.leases.held() & daemon.catalogs.keys()
        )
        self._all = OverviewCache(daemon, lambda known: {*known, *daemon.catalogs})

    def app(self) -> web.Application:
        """Return an application that answers GET and HEAD."""
        app = web.Application()
        app.on_response_prepare.append(_add_headers)
        app.add_routes(
            [
                web.get("/", self.page),
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics),
            ]
        )
        return app

    async def healthz(self, _request: web.Request) -> web.Response:
        """Answer 200, which the event loop can do as long as it turns."""
        return web.Response(text="alive\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """Answer 200, or 503 with a line for each reason."""
        reasons = await unready_reasons(self._daemon)
        text = "".join(f"{reason}\n" for reason in reasons or ["ready"])
        return web.Response(text=text, status=503 if reasons else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with all metrics, in the format that the Accept header asks for."""
        scrape = self._metrics.scrape(self._daemon, await self._mine.look())
        accept = request.headers.get("Accept", "")
        body, content_type = await asyncio.to_thread(encode_scrape, scrape, accept)
        answer = web.Response(body=body, headers={"Content-Type": content_type})
        answer.enable_compression()
        return answer

    async def page(self, _request: web.Request) -> web.Response:
        """Answer with the status page; 503 if Redis cannot be read."""
        seen = await self._all.look()
        text = await asyncio.to_thread(page, PublisherInfo.of(self._daemon), seen)
        return web.Response(text=text, content_type="text/html", status=503 if seen.error else 200)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


async def unready_reasons(daemon: Daemon) -> list[str]:
    """Return a line for each reason why `daemon` does not do its work now; none if it does."""
    reasons = []
    if not daemon.ready.is_set():
        reasons.append("the leases were not looked at yet")
    if daemon.lease_error:
        reasons.append(f"the leases cannot be renewed: {daemon.lease_error}")
    try:
        await reached(daemon)
    except RedisError as error:
        reasons.append(str(error))
    if late := sorted(daemon.late()):
        more = ", …" if len(late) > NAMED else ""
        reasons.append(f"{len(late)} late polls: {', '.join(late[:NAMED])}{more}")
    return reasons
