"""A limit of the requests that are under way at once, whoever asks (`polls_at_once`).

TikTok Shop gives its rates to an app, so the catalogs of one app wait for each other, and nobody
else. A turn is taken for one request: who backs off after a failure holds none.
"""

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from yarl import URL

AT_ONCE: Final = 8
"""As many as `polls_at_once` has by default."""


class RequestLimiter:
    """Gives each pair of a host and an app so many turns at once; first come, first served."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._limiter: dict[tuple[URL, str], asyncio.Semaphore] = {}

    def slot(self, url: "URL", app: str = "") -> asyncio.Semaphore:
        """Return what to hold, as `async with`, during one request of `app` to the host of `url`.

        Hosts differ by scheme and port too.
        """
        place = (url.origin(), app)
        if place not in self._limiter:
            self._limiter[place] = asyncio.Semaphore(self._at_once)
        return self._limiter[place]
