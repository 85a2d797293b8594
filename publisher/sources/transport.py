"""Sends one HTTP GET, limited in time and size, whose errors are safe to log.

aiohttp's exceptions may quote a URL, and URLs contain secrets here. So no exception of aiohttp is
quoted or chained: ERROR_TEXTS says what happened, with the location but without user name, password
and query.
"""

import io
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, Self

import aiohttp
from yarl import URL

from plumbing.config.settings import CatalogSettings
from publisher.errors import BadSnapshot, SourceError, Transient, Unreachable

CHUNK_BYTES: Final = 64 * 1024
LONGEST_WAIT: Final = 24 * 3600.0
"""Seconds. A longer `Retry-After` is taken for a mistake of the server."""
TOO_MANY_REQUESTS: Final = 429
REQUEST_TIMEOUT: Final = 408
CLOSING_OF: Final = {b"{": b"}", b"[": b"]"}

ERROR_TEXTS: Final[tuple[tuple[type[aiohttp.ClientError], type[SourceError], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, SourceError, "TLS certificate not accepted"),
    (aiohttp.ClientConnectorError, Unreachable, "cannot connect"),
    (aiohttp.TooManyRedirects, SourceError, "too many redirects"),
    (aiohttp.RedirectClientError, SourceError, "it redirects to an address that is not http(s)"),
    (aiohttp.InvalidURL, SourceError, "the address is not valid"),
    (aiohttp.ClientPayloadError, Transient, "the answer was cut off, or is not valid gzip"),
    (aiohttp.ClientResponseError, Transient, "the answer is not HTTP"),
    (aiohttp.ClientError, Transient, "the connection was closed before the answer"),
)
"""Exception of aiohttp, our exception, our text; the first row that fits is used."""


class RequestLimits(NamedTuple):
    """The limits of one request: `seconds` in total, `body_bytes` after decompression."""

    seconds: float
    body_bytes: int

    @classmethod
    def of(cls, catalog: CatalogSettings) -> Self:
        """Return the limits that `catalog` configures."""
        return cls(catalog.request_timeout.total_seconds(), catalog.max_body_bytes)


@dataclass(frozen=True)
class Reply:
    """A complete HTTP response of any status; `location` is its URL without secrets."""

    location: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def date(self) -> float | None:
        """The server's clock when it answered (header `Date`), in Unix seconds."""
        return _unix_seconds(self.headers.get("Date", ""))

    @property
    def is_cut_off(self) -> bool:
        """Whether the body is a JSON document without its closing bracket.

        HTTP cannot tell: a body without a length, or a gzip stream, may end anywhere.
        """
        closing = CLOSING_OF.get(self.body[:CHUNK_BYTES].lstrip()[:1])
        ending = self.body[-CHUNK_BYTES:].rstrip()
        return closing is not None and bool(ending) and not ending.endswith(closing)

    def retry_after(self, now: float) -> float:
        """Return the seconds that `Retry-After` asks to wait, 0 without a usable header.

        A date is compared with the server's own clock, or with `now`, this machine's, if the
        response has no `Date`.
        """
        value = self.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"[0-9]+", value, re.ASCII):
            wait = float(value[:10])
        else:
            until = _unix_seconds(value)
            clock = now if self.date is None else self.date
            wait = 0.0 if until is None else until - clock
        return min(max(wait, 0.0), LONGEST_WAIT)


def open_session() -> aiohttp.ClientSession:
    """Return an HTTP session without cookies and without a limit of connections.

    RequestLimiter limits its requests.
    """
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
    """Request `url` once and read the whole response.

    `follow` redirects, to http(s) only. aiohttp itself repeats a GET once if the server closes the
    connection without a response. Raises Transient (Unreachable if nothing was sent), SourceError
    if a retry is useless, and BadSnapshot for a body over the limit.
    """
    location = location_of(url)
    try:
        async with session.get(
            url,
            headers={"Accept-Encoding": "gzip", **(headers or {})},
            allow_redirects=follow,
            timeout=aiohttp.ClientTimeout(total=limits.seconds),
        ) as response:
            body = await _read_body(response.content, limits.body_bytes, location)
    except TimeoutError:
        raise Transient(
            f"{location}: no complete answer within {limits.seconds:g} s (request_timeout)"
        ) from None
    except aiohttp.ClientError as error:
        kind, text = next(row[1:] for row in ERROR_TEXTS if isinstance(error, row[0]))
        raise kind(f"{location}: {text}{_cause_of(error)}") from None
    except ValueError:
        raise SourceError(
            f"{location}: this address, or the user name or password in it, is not valid"
        ) from None
    reply = Reply(location, response.status, response.headers, body)
    if response.ok and reply.is_cut_off:
        raise Transient(f"{location}: the answer is cut off after {len(body)} bytes")
    return reply


def location_of(url: URL) -> str:
    """Return scheme, host, port and path of `url`: the parts that a message may quote."""
    return f"{url.scheme}://{url.host_subcomponent}:{url.port}{url.raw_path}"


def status_error(reply: Reply, now: float) -> SourceError:
    """Return the error for a response whose HTTP status is not a success."""
    text = f"{reply.location}: HTTP {reply.status}"
    wait = reply.retry_after(now)
    if reply.status == TOO_MANY_REQUESTS:
        return Transient(f"{text}, too many requests{requested_wait(wait)}", not_before=wait)
    if reply.status >= 500 or reply.status == REQUEST_TIMEOUT:  # noqa: PLR2004  5xx
        return Transient(f"{text}, the server failed", not_before=wait)
    if 300 <= reply.status < 400:  # noqa: PLR2004  3xx
        return SourceError(f"{text}, a redirect that is not followed: is the address right?")
    if reply.status in {401, 403}:
        return SourceError(f"{text}, access refused: are user name, password and rights right?")
    return SourceError(f"{text}: is the address right?")


def requested_wait(seconds: float) -> str:
    """Return the part of a message about `Retry-After`; empty if there was none."""
    return f"; it asks to wait {seconds:.0f} s" if seconds else ""


async def _read_body(content: aiohttp.StreamReader, limit: int, location: str) -> bytes:
    """Return the body; stop reading and decompressing as soon as it is over `limit`."""
    body = io.BytesIO()  # its getvalue() copies nothing
    async for chunk in content.iter_chunked(CHUNK_BYTES):
        body.write(chunk)
        if body.tell() > limit:
            raise BadSnapshot(
                f"{location}: the answer has more than {limit} bytes: if that is right, raise "
                "max_body_bytes"
            )
    return body.getvalue()


def _cause_of(error: aiohttp.ClientError) -> str:
    """Return the system's reason in brackets, or nothing; it contains no URL."""
    cause = getattr(error, "certificate_error", getattr(error, "os_error", error))
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f" ({cause.verify_message})"
    if isinstance(cause, ConnectionError) and cause.errno:
        return f" ({os.strerror(cause.errno)})"
    reason = getattr(cause, "strerror", None)
    return f" ({reason})" if reason else ""


def _unix_seconds(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
