"""Limits how many requests are under way at the same time (`polls_at_once`).

TikTok Shop limits the rate of each app, so the catalogs of one app share a limit. A slot is held
during one request only: not while waiting between two attempts.
"""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yarl import URL


class RequestLimiter:
    """Allows `at_once` requests for each pair of host and app, first come, first served."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._slots: dict[tuple[URL, str], asyncio.Semaphore] = {}

    def slot(self, url: "URL", app: str = "") -> asyncio.Semaphore:
        """Return the semaphore to hold with `async with` during one request of `app` to `url`.

        Two URLs have the same host if scheme, host name and port are equal.
        """
        key = (url.origin(), app)
        if key not in self._slots:
            self._slots[key] = asyncio.Semaphore(self._at_once)
        return self._slots[key]
