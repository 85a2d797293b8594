"""The source `http` requests the tree with a plain GET."""

import time

import aiohttp
from aiohttp import encode_basic_auth
from yarl import URL

from plumbing.config.settings import CatalogSettings
from publisher.errors import BadSnapshot
from publisher.sources import Answer, transport
from publisher.sources.envelope import Envelope, starts_with_success
from publisher.sources.request_limit import RequestLimiter
from publisher.sources.retry import retry_transient
from publisher.sources.transport import RequestLimits


class HttpSource:
    """Requests the `url` of a catalog, which may contain a user name and a password."""

    def __init__(
        self, settings: CatalogSettings, session: aiohttp.ClientSession, limiter: RequestLimiter
    ) -> None:
        self._url = url = URL(settings.url or "")
        user, password = url.user or "", url.password or ""  # a token may be either of them
        login = encode_basic_auth(user, password)
        secrets = {url.raw_query_string, *url.query.values(), user, password, login}
        self._secrets = sorted(secrets - {""}, key=len, reverse=True)  # longest first
        self._limits = RequestLimits.of(settings)
        self._session = session
        self._limiter = limiter

    async def fetch(self) -> Answer:
        """Return the response's body, after retries and redirects (to http(s) only)."""
        return Answer(await retry_transient(self._request), bare_list=True)

    async def _request(self) -> bytes:
        headers = {"Accept": "application/json"}
        async with self._limiter.slot(self._url):
            reply = await transport.get(
                self._session, self._url, self._limits, headers=headers, follow=True
            )
        if not reply.is_success:
            raise transport.status_error(reply, time.time())
        if not starts_with_success(reply.body) and reply.body.lstrip()[:1] == b"{":
            # `core` refuses such an envelope too, but cannot hide the secrets of this address
            envelope = Envelope.parse(reply.body)
            if envelope is not None and envelope.code != 0:
                raise BadSnapshot(
                    f"{reply.location}: the answer has {envelope.describe(self._secrets)}"
                )
        return reply.body
