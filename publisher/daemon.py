"""The loop of `category-publisher run`: polls each catalog at its interval, until cancelled.

One slow or failing catalog never delays another: each has a task of its own.
"""

import asyncio
import re
import time
from collections.abc import Iterable
from typing import Any, Final, NoReturn

import structlog

from plumbing.errors import Error
from plumbing.server import Server
from publisher import record
from publisher.poll import Catalog, Polled

log = structlog.get_logger(__name__)

WITH_DIGITS: Final = re.compile(r"(?<!\S)(?=\S*\d)\S{8,}")
"""Long words with digits: a request's id, a count of bytes; an HTTP status or a code is short."""


async def run(catalogs: Iterable[Catalog], server: Server) -> NoReturn:
    """Keep all `catalogs` in sync, for ever."""
    async with asyncio.TaskGroup() as group:
        for catalog in catalogs:
            group.create_task(_keep_in_sync(catalog, server), name=f"catalog {catalog.name}")
    raise AssertionError("a loop without end has ended")


async def _keep_in_sync(catalog: Catalog, server: Server) -> NoReturn:
    teller = Teller(catalog.name)
    while True:
        begin = time.monotonic()
        error = await _one_poll(catalog, server, teller)
        due = begin + record.pause(catalog, error).total_seconds()
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _one_poll(catalog: Catalog, server: Server, teller: "Teller") -> Error | None:
    try:
        polled = await record.poll(catalog, server)
    except Error as error:
        teller.failed(str(error))
        return error
    except Exception:  # a bug of ours must not end the daemon, which serves other catalogs too
        log.exception("poll ended unexpectedly", catalog=catalog.name)
        return None
    teller.polled(polled)
    return None


class Teller:
    """Logs one catalog's polls on the edge: what is as it was is not told again."""

    def __init__(self, catalog: str) -> None:
        self._log: Any = log.bind(catalog=catalog)
        self._error: str | None = None
        self._held: str | None = None
        self._warnings: tuple[str, ...] = ()

    def failed(self, error: str) -> None:
        """Tell that a poll failed, unless the last one failed of the same.

        A request's id, a count or a clock may differ: the same is what has the same words.
        """
        same = WITH_DIGITS.sub("", error)
        if same != self._error:
            self._log.error("poll failed", error=error)
        self._error = same

    def polled(self, polled: Polled) -> None:
        """Tell what is new about a poll that came through."""
        if self._error is not None:
            self._log.info("polls succeed again")
        self._error = None
        self._tell_warnings(polled)
        self._tell_hold(polled)
        self._tell_changes(polled)

    def _tell_warnings(self, polled: Polled) -> None:
        if polled.repaired:
            self._log.warning("state was damaged, its history begins anew")
        for warning in polled.warnings:
            if warning not in self._warnings:
                self._log.warning("snapshot is odd", what=warning)
        self._warnings = polled.warnings

    def _tell_hold(self, polled: Polled) -> None:
        digest = polled.hold["digest"] if polled.hold else None
        if polled.hold and digest != self._held:
            self._log.warning(
                "snapshot is held",
                digest=digest,
                reasons=polled.hold["reasons"],
                state="damaged, consumers wait" if polled.damaged else "whole",
            )
        if self._held and polled.outcome != "held":
            self._log.info("hold has ended")
        self._held = digest

    def _tell_changes(self, polled: Polled) -> None:
        if polled.outcome == "changed" and polled.place:
            self._log.info(
                "published",
                **polled.counts._asdict(),
                epoch=polled.place.epoch,
                sequence=polled.place.sequence,
            )
        else:
            self._log.debug("polled", outcome=polled.outcome)
