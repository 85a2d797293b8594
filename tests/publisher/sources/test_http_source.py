"""The source `http`."""

from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import encode_basic_auth, web

from plumbing.config.settings import Settings
from plumbing.errors import Error
from publisher.errors import BadSnapshot, SourceError, Transient
from publisher.sources import Answer
from tests.publisher.sources.fake_shop import FakeShop, raw_answer
from tests.publisher.sources.open_sources import open_source
from tests.support.messages import whole

TREE = b'[{"id":"1","parent_id":"0","local_name":"Home","is_leaf":true}]'


async def fetch(url: str, session: aiohttp.ClientSession, **catalog: object) -> Answer:
    """Fetch the catalog `shelf` from the address `url`."""
    made = {"catalogs": {"shelf": {"source": "http", "url": url, **catalog}}}
    return await open_source(session, Settings.model_validate(made), "shelf").fetch()


async def test_the_body_is_the_answer(shop: FakeShop, session: aiohttp.ClientSession) -> None:
    """The query is sent as configured; the body may be a bare list."""
    shop.answers["/tree"] = [raw_answer(TREE)]
    answer = await fetch(f"{shop.url}/tree?a=b%26c", session)
    assert answer == Answer(TREE, bare_list=True)
    assert shop.requests[0].query == {"a": "b&c"}


async def test_cookies_are_not_sent_back(shop: FakeShop, session: aiohttp.ClientSession) -> None:
    """A poll does not depend on the answers before it."""
    cookie = {"Set-Cookie": "visit=1; Path=/"}
    shop.answers["/tree"] = [raw_answer(TREE, headers=cookie), raw_answer(TREE)]
    for _ in range(2):
        await fetch(f"{shop.url}/tree".replace("127.0.0.1", "localhost"), session)
    assert "Cookie" not in shop.requests[1].headers


@pytest.mark.contract("7")
async def test_the_login_of_the_address_is_sent(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """In the header, and in no message."""
    shop.answers["/tree"] = [raw_answer(TREE), raw_answer(b"", status=401)]
    url = f"{shop.url}/tree?key=hush-key".replace("http://", "http://ann:hush-password@")
    await fetch(url, session)
    assert shop.requests[0].headers["Authorization"] == encode_basic_auth("ann", "hush-password")

    with pytest.raises(
        SourceError,
        match=whole(
            "http://127.0.0.1:<any>/tree: HTTP 401, access refused: are user name, password "
            "and rights right?"
        ),
    ) as caught:
        await fetch(url, session)
    assert f"{shop.url}/tree" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "ann" not in str(caught.value)


SECRETS = {
    "user name": "secret-user",
    "password": "secret-password",
    "query": "key=secret-key&other=secret-other",
    "value of the query": "secret-key",
    "second value of the query": "secret-other",
    "login": encode_basic_auth("secret-user", "secret-password"),
}
"""What the address contains that an answer may quote, each different from all others."""


@pytest.mark.contract("7")
@pytest.mark.parametrize("quoted", SECRETS)
@pytest.mark.parametrize("field", ["message", "request_id"])
@pytest.mark.parametrize("status", [200, 400])
async def test_no_secret_that_an_answer_quotes_is_in_the_error(
    shop: FakeShop, session: aiohttp.ClientSession, quoted: str, field: str, status: int
) -> None:
    """Each secret, in each text of an envelope, with any status; the code stays."""
    body = {"code": 105005, "message": "no", field: f"x {SECRETS[quoted]} y"}
    shop.answers["/tree"] = [raw_answer(orjson.dumps(body), status=status)]
    login = "http://secret-user:secret-password@"
    url = f"{shop.url}/tree?{SECRETS['query']}".replace("http://", login)
    with pytest.raises(Error) as caught:
        await fetch(url, session)
    assert ("105005" in str(caught.value)) == (status == 200)
    assert ("x *** y" in str(caught.value)) == (status == 200)
    assert "secret" not in str(caught.value)
    assert SECRETS["login"] not in str(caught.value)


@pytest.mark.contract("7")
@pytest.mark.parametrize("login", ["secret-token", "secret-token:", ":secret-token"])
async def test_a_token_as_login_is_in_no_error(
    shop: FakeShop, session: aiohttp.ClientSession, login: str
) -> None:
    """It may be the user name or the password alone."""
    header = encode_basic_auth(*login.partition(":")[::2])
    message = f"{header.split()[1]} {header} secret-token".encode()
    shop.answers["/tree"] = [raw_answer(b'{"code":7,"message":"%s"}' % message)]
    with pytest.raises(BadSnapshot) as caught:
        await fetch(f"{shop.url}/tree".replace("http://", f"http://{login}@"), session)
    assert shop.requests[0].headers["Authorization"] == header
    assert "secret-token" not in str(caught.value)
    assert header not in str(caught.value)


@pytest.mark.contract("6")
@pytest.mark.parametrize("status", [400, 403, 404, 410])
async def test_4xx_is_not_retried(
    shop: FakeShop, session: aiohttp.ClientSession, status: int
) -> None:
    """One request; the message has the status."""
    shop.answers["/tree"] = [raw_answer(TREE, status=status)]
    with pytest.raises(SourceError, match=f"HTTP {status}") as caught:
        await fetch(f"{shop.url}/tree", session)
    assert not isinstance(caught.value, Transient)
    assert len(shop.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_transient_status_is_retried(
    shop: FakeShop, session: aiohttp.ClientSession, status: int
) -> None:
    """After two failures the fetch goes on; five end it."""
    shop.answers["/tree"] = [
        raw_answer(b"", status=status),
        raw_answer(b"", status=status),
        raw_answer(TREE),
    ]
    assert (await fetch(f"{shop.url}/tree", session)).body == TREE

    shop.answers["/tree"] = [raw_answer(b"", status=status)]
    shop.requests.clear()
    with pytest.raises(Transient, match=f"HTTP {status}"):
        await fetch(f"{shop.url}/tree", session)
    assert len(shop.requests) == 5


async def test_redirects_are_followed_without_the_password(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """Another origin does not get the credentials."""
    async with FakeShop() as other:
        other.answers["/there"] = [raw_answer(TREE)]
        to = {"Location": f"{other.url}/there"}
        shop.answers["/tree"] = [raw_answer(b"", status=302, headers=to)]
        url = f"{shop.url}/tree".replace("http://", "http://ann:hush@")
        assert (await fetch(url, session)).body == TREE
        assert "Authorization" not in other.requests[0].headers


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "http://[hush"]
)
async def test_redirects_to_other_schemes_are_refused(
    shop: FakeShop, session: aiohttp.ClientSession, target: str
) -> None:
    """Only http(s) is followed; the message does not quote the address."""
    shop.answers["/tree"] = [raw_answer(b"", status=302, headers={"Location": target})]
    with pytest.raises(SourceError) as caught:
        await fetch(f"{shop.url}/tree", session)
    assert "redirects to an address that is not http(s)" in str(caught.value)
    assert len(shop.requests) == 1


async def test_redirects_in_a_circle_end(shop: FakeShop, session: aiohttp.ClientSession) -> None:
    """The message contains no query."""

    async def again(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/tree?key=hush")

    shop.answers["/tree"] = [again]
    with pytest.raises(
        SourceError, match=whole("http://127.0.0.1:<any>/tree: too many redirects")
    ) as caught:
        await fetch(f"{shop.url}/tree?key=hush", session)
    assert "hush" not in str(caught.value)


@pytest.mark.contract("6")
async def test_an_answer_over_the_limit_is_refused(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """The message names `max_body_bytes`."""
    shop.answers["/tree"] = [raw_answer(TREE)]
    with pytest.raises(
        BadSnapshot,
        match=whole(
            "http://127.0.0.1:<any>/tree: the answer has more than 10 bytes: if that is "
            "right, raise max_body_bytes"
        ),
    ):
        await fetch(f"{shop.url}/tree", session, max_body_bytes=10)
    assert len(shop.requests) == 1


@pytest.mark.contract("7")
async def test_no_token_is_sent_to_another_source(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Requests of this source contain no secret of TikTok Shop."""
    shop.answers["/tree"] = [raw_answer(TREE)]
    catalog = {"source": "http", "url": f"{shop.url}/tree"}
    settings = shop.settings(tmp_path).model_copy(
        update={"catalogs": Settings.model_validate({"catalogs": {"us": catalog}}).catalogs}
    )
    await open_source(session, settings).fetch()
    assert "x-tts-access-token" not in {name.lower() for name in shop.requests[0].headers}
    assert "sign" not in shop.requests[0].query
