"""The source `http`: a tree at an address that answers a plain GET."""

import time

import aiohttp
from yarl import URL

from plumbing.config.settings import CatalogSettings
from publisher.errors import BadSnapshot
from publisher.sources import Answer, transport
from publisher.sources.envelope import Envelope, starts_with_success
from publisher.sources.request_limit import RequestLimiter
from publisher.sources.retry import retry_transient
from publisher.sources.transport import Reply, RequestLimits


class HttpSource:
    """Asks the address that a catalog's `url` names; user name and password may stand in it."""

    def __init__(
        self, settings: CatalogSettings, session: aiohttp.ClientSession, limiter: RequestLimiter
    ) -> None:
        self._url = URL(settings.url or "")
        self._hidden = _secrets_of(self._url)
        self._limits = RequestLimits.of(settings)
        self._session = session
        self._limiter = limiter

    async def fetch(self) -> Answer:
        """Return the answer's body; retries what may pass, follows redirects to http(s)."""
        return Answer(await retry_transient(self._ask), bare_list=True)

    async def _ask(self) -> bytes:
        accept = {"Accept": "application/json"}
        async with self._limiter.slot(self._url):
            reply = await transport.get(
                self._session, self._url, self._limits, headers=accept, follow=True
            )
        if not 200 <= reply.status < 300:  # noqa: PLR2004  2xx
            raise transport.status_error(reply, time.time())
        self._refuse_an_error(reply)
        return reply.body

    def _refuse_an_error(self, reply: Reply) -> None:
        """Raise BadSnapshot for an envelope with another code than 0.

        `snapshot` would too, but not knowing which words of the address must not be quoted.
        """
        if starts_with_success(reply.body) or reply.body.lstrip()[:1] != b"{":
            return
        envelope = Envelope.parse(reply.body)
        if envelope is not None and envelope.code != 0:
            raise BadSnapshot(f"{reply.location}: the answer has {envelope.describe(self._hidden)}")


def _secrets_of(url: URL) -> list[str]:
    """Return what of `url` a message must not quote, as it is sent too, the longest first."""
    login = aiohttp.encode_basic_auth(url.user or "", url.password or "") if url.password else ""
    words = {url.raw_query_string, *url.query.values(), url.password or "", login}
    return sorted(words - {""}, key=len, reverse=True)
