"""The source `http`: a tree at an address that answers a plain GET."""

import time

import aiohttp
from yarl import URL

from plumbing.config import CatalogSettings
from publisher.sources import Answer, transport
from publisher.sources.patience import patiently
from publisher.sources.transport import Limits


class Http:
    """Asks the address that a catalog's `url` names; user name and password may stand in it."""

    def __init__(self, settings: CatalogSettings, session: aiohttp.ClientSession) -> None:
        self._url = URL(settings.url or "")
        self._limits = Limits.of(settings)
        self._session = session

    async def fetch(self) -> Answer:
        """Return the answer's body; retries what may pass, follows redirects to http(s)."""
        return Answer(await patiently(self._ask), bare_list=True)

    async def _ask(self) -> bytes:
        accept = {"Accept": "application/json"}
        reply = await transport.get(
            self._session, self._url, self._limits, headers=accept, follow=True
        )
        if not 200 <= reply.status < 300:  # noqa: PLR2004  2xx
            raise transport.status_error(reply, time.time())
        return reply.body
