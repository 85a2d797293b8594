"""One HTTP GET, bounded in time and size, whose errors are fit for a log.

aiohttp's exceptions may quote a URL, and the URLs here carry secrets in their queries. So none of
them is quoted or chained: what happened is said in our own words, with the place but never with
user name, password or query.
"""

import io
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Self

import aiohttp
from yarl import URL

from plumbing.config.settings import CatalogSettings
from publisher.errors import BadSnapshot, SourceError, Transient, Unreachable

CHUNK_BYTES: Final = 64 * 1024
LONGEST_WAIT: Final = 24 * 3600.0
"""Seconds. A `Retry-After` beyond this is taken for a mistake of who wrote it."""
TOO_MANY_REQUESTS: Final = 429
REQUEST_TIMEOUT: Final = 408
CLOSINGS: Final = {b"{": b"}", b"[": b"]"}


ERROR_TEXTS: Final[tuple[tuple[type[aiohttp.ClientError], type[SourceError], str], ...]] = (
    (
        aiohttp.ClientConnectorCertificateError,
        SourceError,
        "the TLS certificate is not accepted",
    ),
    (aiohttp.ClientConnectorError, Unreachable, "cannot connect"),
    (aiohttp.TooManyRedirects, SourceError, "too many redirects"),
    (aiohttp.RedirectClientError, SourceError, "redirects to what is no http(s) address"),
    (aiohttp.InvalidURL, SourceError, "the address cannot be used"),
    (aiohttp.ClientPayloadError, Transient, "the answer broke off, or is no valid gzip"),
    (aiohttp.ClientResponseError, Transient, "what came back is not HTTP"),
    (aiohttp.ClientError, Transient, "the connection was lost before the answer came"),
)
"""aiohttp's exceptions in our words; the first that fits counts."""


@dataclass(frozen=True)
class RequestLimits:
    """What one request may take: `seconds` in all, `body_bytes` after decompression."""

    seconds: float = 60.0
    body_bytes: int = 64 * 1024 * 1024

    @classmethod
    def of(cls, catalog: CatalogSettings) -> Self:
        """Return the limits that `catalog` configures."""
        return cls(catalog.request_timeout.total_seconds(), catalog.max_body_bytes)


@dataclass(frozen=True)
class Reply:
    """A complete answer, of whatever status. `place` is where it came from, for messages."""

    location: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> float | None:
        """The sender's clock when it answered (header `Date`), in Unix seconds."""
        return _unix_seconds(self.headers.get("Date", ""))

    def retry_after(self, now: float) -> float:
        """Return the seconds to wait that `Retry-After` asks for, 0 if it does not.

        `now` is this machine's clock; a date is compared with the sender's own, if it told.
        """
        value = self.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"[0-9]+", value, re.ASCII):
            wait = float(value[:10])
        else:
            until = _unix_seconds(value)
            here = now if self.date is None else self.date
            wait = 0.0 if until is None else until - here
        return min(max(wait, 0.0), LONGEST_WAIT)


def open_session() -> aiohttp.ClientSession:
    """Return a new HTTP session, which keeps no cookies; `polls_at_once` is what limits it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    )


async def get(
    session: aiohttp.ClientSession,
    url: URL,
    limits: RequestLimits,
    *,
    headers: Mapping[str, str] | None = None,
    follow: bool,
) -> Reply:
    """Ask for `url` once and read the whole answer; `follow` redirects, to http(s) only.

    aiohttp sends a GET a second time by itself if the server closes the connection unanswered.
    Raises Transient (Unreachable if nothing was sent), SourceError if asking again is useless,
    and BadSnapshot for a body over the limit.
    """
    place = location_of(url)
    try:
        async with session.get(
            url,
            headers={"Accept-Encoding": "gzip", **(headers or {})},
            allow_redirects=follow,
            timeout=aiohttp.ClientTimeout(total=limits.seconds),
        ) as response:
            body = await _read(response.content, limits.body_bytes, place)
    except TimeoutError:
        raise Transient(
            f"{place}: no complete answer within {limits.seconds:g} s (request_timeout)"
        ) from None
    except aiohttp.ClientError as error:
        raise _described(error, place) from None
    except ValueError:
        raise SourceError(
            f"{place}: this address, or the user name or password in it, cannot be used"
        ) from None
    if response.ok and _is_cut_off(body):
        raise Transient(f"{place}: the answer breaks off after {len(body)} bytes")
    return Reply(place, response.status, response.headers, body)


def location_of(url: URL) -> str:
    """Return scheme, host, port and path of `url`: what a message may say of it."""
    return f"{url.scheme}://{url.host_subcomponent}:{url.port}{url.raw_path}"


def status_error(reply: Reply, now: float) -> SourceError:
    """Return the error that an HTTP status other than success stands for."""
    told = f"{reply.location}: HTTP {reply.status}"
    wait = reply.retry_after(now)
    if reply.status == TOO_MANY_REQUESTS:
        return Transient(f"{told}, too many requests{asked_to_wait(wait)}", not_before=wait)
    if reply.status >= 500 or reply.status == REQUEST_TIMEOUT:  # noqa: PLR2004  5xx
        return Transient(f"{told}, trouble at the other end", not_before=wait)
    if 300 <= reply.status < 400:  # noqa: PLR2004  3xx
        return SourceError(f"{told}, a redirect that is not followed: is the address right?")
    if reply.status in {401, 403}:
        return SourceError(f"{told}, access refused: are user name, password and rights right?")
    return SourceError(f"{told}: is the address right?")


def asked_to_wait(seconds: float) -> str:
    """Return what a message says of a `Retry-After`: nothing if there was none."""
    return f"; it asks to wait {seconds:.0f} s" if seconds else ""


async def _read(content: aiohttp.StreamReader, limit: int, place: str) -> bytes:
    """Return the body; what is over `limit` is not even read, let alone decompressed."""
    body = io.BytesIO()  # its getvalue() copies nothing
    async for chunk in content.iter_chunked(CHUNK_BYTES):
        body.write(chunk)
        if body.tell() > limit:
            raise BadSnapshot(
                f"{place}: the answer has more than {limit} bytes: if that is right, raise "
                "max_body_bytes"
            )
    return body.getvalue()


def _is_cut_off(body: bytes) -> bool:
    """Tell whether a JSON document does not end as it began.

    This finds what HTTP cannot: a body without a length, or a gzip stream, that just ends.
    """
    closing = CLOSINGS.get(body[:CHUNK_BYTES].lstrip()[:1])
    ending = body[-CHUNK_BYTES:].rstrip()
    return closing is not None and bool(ending) and not ending.endswith(closing)


def _described(error: aiohttp.ClientError, place: str) -> SourceError:
    """Return `error` in our words."""
    kind, words = next(row[1:] for row in ERROR_TEXTS if isinstance(error, row[0]))
    return kind(f"{place}: {words}{_why(error)}")


def _why(error: aiohttp.ClientError) -> str:
    cause = getattr(error, "certificate_error", getattr(error, "os_error", error))
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f" ({cause.verify_message})"
    if isinstance(cause, ConnectionError) and cause.errno:
        return f" ({os.strerror(cause.errno)})"
    strerror = getattr(cause, "strerror", None)
    return f" ({strerror})" if strerror else ""


def _unix_seconds(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
