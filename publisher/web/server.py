"""The HTTP server: its address, its paths, and its limits.

It only reads, so it asks for no password; by default it listens on loopback. It serves names and
numbers, never a secret. A web page whose host name resolves to 127.0.0.1 (DNS rebinding) could read
them. That is accepted: checking the Host header would lock out scrapers that use another name.
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
from publisher.web.overview_cache import OverviewCache, read_known_names
from publisher.web.page import POLICY, PublisherInfo, render_page

log = logs.logger(__name__)

OFF: Final = "off"
IDLE_SECONDS: Final = 30.0
"""How long a connection may take to send its first or next request completely."""
GRACE_SECONDS: Final = 1.0
"""How long responses may still be sent when the server stops."""
MAX_LATE_NAMES: Final = 5
"""Late catalogs that `/readyz` names; the others are counted."""
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
    """Serve on `listen` ("host:port", port 0 for any, or "off") in the context.

    Gives the address, such as `http://127.0.0.1:9464`, or "" if nothing is served. If it cannot
    listen there, raises ConfigError if `required`, and logs a warning if not: two publishers on one
    machine are usual, and only one gets the default address.
    """
    if listen == OFF:
        yield ""
        return
    errors = logging.Logger("publisher.web")  # noqa: LOG001  not to be configured by others
    errors.addHandler(_ErrorHandler(logging.INFO))
    runner = web.AppRunner(
        Routes(daemon, metrics).app(),
        access_log=None,
        logger=errors,
        keepalive_timeout=IDLE_SECONDS,
        lingering_time=0,  # no request here has a body, so none is waited for
        shutdown_timeout=GRACE_SECONDS,
    )
    await runner.setup()
    try:
        yield await _start(runner, listen, required=required)
    finally:
        await runner.cleanup()


class _ErrorHandler(logging.Handler):
    """Logs aiohttp's errors in our format, and bad requests without a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            log.debug("bad request", error=error.message)
        else:
            log.error(record.getMessage(), exc_info=error)


async def _start(runner: web.AppRunner, listen: str, *, required: bool) -> str:
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except (OSError, UnicodeError) as error:  # UnicodeError: not even the form of a host name
        cause = error.strerror if isinstance(error, OSError) else "that is not a host"
        reason = f"http_listen {listen!r}: cannot listen there: {cause}"
        if required:
            raise ConfigError(
                f'{reason}: choose another address (port 0: any that is free), or "off"'
            ) from error
        log.warning("health and metrics not served, set http_listen", reason=reason)
        return ""
    url = f"http://{host}:{runner.addresses[0][1]}"
    log.info("health and metrics served", url=url)
    return url


class Routes:
    """The response of each path."""

    def __init__(self, daemon: Daemon, metrics: Metrics) -> None:
        self._daemon = daemon
        self._metrics = metrics
        self._polled_here = OverviewCache(
            daemon, lambda _known: daemon.leases.held() & daemon.catalogs.keys()
        )
        self._all = OverviewCache(daemon, lambda known: {*known, *daemon.catalogs})

    def app(self) -> web.Application:
        """Return an application that answers GET and HEAD."""

        async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
            response.headers.update(HEADERS)

        app = web.Application()
        app.on_response_prepare.append(add_headers)
        app.router.add_get("/", self.page)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/metrics", self.metrics)
        return app

    async def healthz(self, _request: web.Request) -> web.Response:
        """Respond with 200: the event loop runs."""
        return web.Response(text="alive\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """Respond with 200, or with 503 and a line for each reason."""
        daemon, reasons = self._daemon, []
        if not daemon.ready.is_set():
            reasons.append("the leases were not checked yet")
        if daemon.lease_error:
            reasons.append(f"the leases cannot be renewed: {daemon.lease_error}")
        try:
            await read_known_names(daemon)
        except RedisError as error:
            reasons.append(str(error))
        if late := sorted(daemon.overdue()):
            more = ", …" if len(late) > MAX_LATE_NAMES else ""
            reasons.append(f"{len(late)} late polls: {', '.join(late[:MAX_LATE_NAMES])}{more}")
        text = "".join(f"{reason}\n" for reason in reasons or ["ready"])
        return web.Response(text=text, status=503 if reasons else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        """Respond with all metrics, in the format that the Accept header asks for."""
        scrape = self._metrics.scrape(self._daemon, await self._polled_here.get())
        accept = request.headers.get("Accept", "")
        body, content_type = await asyncio.to_thread(encode_scrape, scrape, accept)
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    async def page(self, _request: web.Request) -> web.Response:
        """Respond with the status page; with 503 if Redis cannot be read."""
        result = await self._all.get()
        daemon, leases = self._daemon, self._daemon.leases
        publisher = PublisherInfo(
            leases.owner, daemon.server.address, len(leases.held()), frozenset(daemon.catalogs)
        )
        text = await asyncio.to_thread(render_page, publisher, result)
        status = 503 if result.error else 200
        return web.Response(text=text, content_type="text/html", status=status)
