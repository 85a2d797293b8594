"""What may happen to a request on its way, and the messages about it."""

import asyncio
import gzip
import ssl
import subprocess
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from publisher.errors import BadSnapshot, SourceError, Transient, Unreachable
from publisher.sources import transport
from publisher.sources.transport import Reply, RequestLimits
from tests.publisher.sources.fake_shop import CATEGORIES, FakeShop, raw_answer
from tests.support.messages import whole
from tests.support.waiting import PATIENCE

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"
QUERY = "?app_secret=hush&refresh_token=hush"


@asynccontextmanager
async def serve_raw(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[URL]:
    """Send `answer` to each connection, then close it; yield an address with secrets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        scheme = "https" if tls else "http"
        yield URL(f"{scheme}://ann:hush@127.0.0.1:{port}/a/tree{QUERY}")


async def get(
    session: aiohttp.ClientSession, url: URL, limits: RequestLimits | None = None
) -> Reply:
    """Send one request without redirects."""
    return await transport.get(session, url, limits or RequestLimits(60, 64 * MIB), follow=False)


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "the connection was closed before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-", "the connection was closed before the answer"),
        (b"I speak no HTTP\r\n\r\n", "the answer is not HTTP"),
        (OK + b"Content-Length: 100\r\n\r\n{}", "the answer was cut off"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{", "the answer was cut off"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "not valid gzip"),
        (OK + b'\r\n{"code":0,"data":', "the answer is cut off after 17 bytes"),
        (OK + b'\r\n[{"id":"1"},', "the answer is cut off after 12 bytes"),
    ],
)
async def test_a_damaged_answer_is_worth_a_retry(
    session: aiohttp.ClientSession, answer: bytes, message: str
) -> None:
    """The error is Transient, names host, port and path, and shows no secret."""
    async with serve_raw(answer) as url:
        with pytest.raises(Transient, match=message) as caught:
            await get(session, url)
    error = caught.value
    assert f"http://127.0.0.1:{url.port}/a/tree" in str(error)
    assert "hush" not in "".join(traceback.format_exception(error))
    assert not isinstance(error, Unreachable)


async def test_a_closed_port_was_not_reached(session: aiohttp.ClientSession) -> None:
    """The error says that nothing was sent."""
    async with serve_raw(b"") as url:
        pass
    with pytest.raises(
        Unreachable,
        match=whole("http://127.0.0.1:<any>/a/tree: cannot connect (Connection refused)"),
    ) as caught:
        await get(session, url)
    assert f"127.0.0.1:{url.port}" in str(caught.value)
    assert "hush" not in str(caught.value)


async def test_a_name_that_does_not_exist_was_not_reached(session: aiohttp.ClientSession) -> None:
    """The message names a wrong host of `api_url`."""
    with pytest.raises(
        Unreachable,
        match=whole("http://nowhere.invalid:80/: cannot connect (Name or service not known)"),
    ):
        await get(session, URL("http://nowhere.invalid/"))


async def test_a_certificate_that_is_not_accepted_is_not_retried(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A retry would not help; the message has the reason."""
    async with serve_raw(OK + b"\r\n{}", _self_signed(tmp_path)) as url:
        with pytest.raises(
            SourceError,
            match=whole(
                "https://127.0.0.1:<any>/a/tree: TLS certificate not accepted (self-signed "
                "certificate)"
            ),
        ) as error:
            await get(session, url)
    assert not isinstance(error.value, Transient)
    assert "hush" not in str(error.value)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    try:
        subprocess.run(
            [*command, "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.contract("6")
@pytest.mark.parametrize("length", [True, False])
async def test_the_limit_counts_while_reading(
    session: aiohttp.ClientSession, *, length: bool
) -> None:
    """A body of the limit's size is read; one more byte is refused, with advice."""
    for size, is_read in ((1000, True), (1001, False)):
        head = f"Content-Length: {size}\r\n\r\n".encode() if length else b"\r\n"
        async with serve_raw(OK + head + b" " * size) as url:
            if is_read:
                assert len((await get(session, url, RequestLimits(10, 1000))).body) == 1000
                continue
            with pytest.raises(
                BadSnapshot,
                match=whole(
                    "http://127.0.0.1:<any>/a/tree: the answer has more than 1000 bytes: if "
                    "that is "
                    "right, raise max_body_bytes"
                ),
            ):
                await get(session, url, RequestLimits(10, 1000))


async def test_a_decompression_bomb_does_not_go_off(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """512 MiB of blanks in half a MiB of gzip take little more memory than the limit."""
    shop.answers[CATEGORIES] = [raw_answer(_bomb(512), headers={"Content-Encoding": "gzip"})]
    tracemalloc.start()
    try:
        with pytest.raises(
            BadSnapshot,
            match=whole(
                "http://127.0.0.1:<any>/product/202309/categories: the answer has more than "
                "8388608 bytes: if that is right, raise max_body_bytes"
            ),
        ):
            await get(session, URL(shop.url + CATEGORIES), RequestLimits(60, 8 * MIB))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * MIB


def _bomb(mib: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * MIB) for _ in range(mib)) + packer.flush()


async def test_several_gzip_members_are_one_body(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """As RFC 1952 says."""
    body = gzip.compress(b'{"a":') + gzip.compress(b"1}")
    shop.answers[CATEGORIES] = [raw_answer(body, headers={"Content-Encoding": "gzip"})]
    assert (await get(session, URL(shop.url + CATEGORIES))).body == b'{"a":1}'


async def test_blanks_around_a_document_are_allowed(
    session: aiohttp.ClientSession,
) -> None:
    """They do not look like a document that is cut off."""
    async with serve_raw(OK + b"\r\n\n [] \r\n") as url:
        assert (await get(session, url)).body == b"\n [] \r\n"


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://api.example", "https://api.example:443/"),
        ("http://u:p@[::1]:81/a%20b?x#y", "http://[::1]:81/a%20b"),
    ],
)
def test_a_location_contains_no_secret(url: str, location: str) -> None:
    """It has scheme, host, port and path; no user name, password, query or fragment."""
    assert transport.location_of(URL(url)) == location


NOW = 1_800_000_000.0
DAY = 24 * 3600.0
ABSURD_DATES = [
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "Fri, 31 Dec 0000 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Fri, 31 Dec 2026 23:59:59 +99999999999999999999",
    f"Fri, 31 Dec {'9' * 5000} 23:59:59 GMT",
    "Fri, 99 Dec 2026 99:99:99 GMT",
    "\x00",
    "",
]


@pytest.mark.parametrize("date", ABSURD_DATES)
def test_an_absurd_date_of_the_server_is_no_error(date: str) -> None:
    """Without a usable `Date`, this machine's clock counts."""
    until = formatdate(NOW + 900, usegmt=True)
    reply = Reply("", 429, {"Date": date, "Retry-After": until}, b"")
    clock = NOW if reply.date is None else reply.date
    assert reply.retry_after(NOW) == min(max(NOW + 900 - clock, 0.0), DAY)


@pytest.mark.parametrize("value", [*ABSURD_DATES, "-1", "1e400", "+5", "٣", "1.5", "0x10"])
def test_an_absurd_time_to_wait_is_no_error(value: str) -> None:
    """It waits for nothing, or for a day, which is the longest."""
    assert Reply("", 429, {"Retry-After": value}, b"").retry_after(NOW) in {0.0, DAY}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("7", 7.0), ("86400", DAY), ("86401", DAY), ("9" * 5000, DAY), (" 7 ", 7.0)],
)
def test_a_time_to_wait_in_seconds(value: str, seconds: float) -> None:
    """A day is the longest."""
    assert Reply("", 429, {"Retry-After": value}, b"").retry_after(NOW) == seconds
