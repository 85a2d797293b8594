"""Limits how many requests are under way at the same time (`polls_at_once`).

TikTok Shop limits the rate of each app, so the catalogs of one app share a limit. A slot is held
during one request only: not while waiting between two attempts.
"""

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yarl import URL


class RequestLimiter:
    """Allows `at_once` requests per host and app, in the order of their arrival."""

    def __init__(self, at_once: int) -> None:
        self._slots: defaultdict[tuple[URL, str], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(at_once)
        )

    def slot(self, url: "URL", app: str = "") -> asyncio.Semaphore:
        """Return the semaphore to hold (`async with`) while `app` requests `url` once.

        Two URLs have the same host if scheme, host name and port are equal.
        """
        return self._slots[url.origin(), app]
