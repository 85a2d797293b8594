"""The source `http`."""

from pathlib import Path

import aiohttp
import pytest
from aiohttp import encode_basic_auth, web

from plumbing.config.settings import Settings
from publisher.errors import BadSnapshot, SourceError, Transient
from publisher.sources import Answer
from tests.publisher.sources.fake_shop import FakeShop, raw_answer
from tests.publisher.sources.open_sources import open_source

TREE = b'[{"id":"1","parent_id":"0","local_name":"Home","is_leaf":true}]'


async def fetch(url: str, session: aiohttp.ClientSession, **catalog: object) -> Answer:
    made = {"catalogs": {"shelf": {"source": "http", "url": url, **catalog}}}
    return await open_source(session, Settings.model_validate(made), "shelf").fetch()


async def test_the_body_is_the_answer(shop: FakeShop, session: aiohttp.ClientSession) -> None:
    """The query goes along as configured; the body may be a bare list."""
    shop.answers["/tree"] = [raw_answer(TREE)]
    answer = await fetch(f"{shop.url}/tree?a=b%26c", session)
    assert answer == Answer(TREE, bare_list=True)
    assert shop.requests[0].query == {"a": "b&c"}


async def test_user_name_and_password_of_the_address_are_used(
    shop: FakeShop, session: aiohttp.ClientSession
) -> None:
    """They go into the header, and into no message."""
    shop.answers["/tree"] = [raw_answer(TREE), raw_answer(b"", status=401)]
    url = f"{shop.url}/tree?key=hush".replace("http://", "http://ann:hush@")
    await fetch(url, session)
    assert shop.requests[0].headers["Authorization"] == encode_basic_auth("ann", "hush")

    with pytest.raises(SourceError, match="HTTP 401, access refused") as caught:
        await fetch(url, session)
    assert f"{shop.url}/tree" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
async def test_4xx_is_not_tried_again(
    shop: FakeShop, session: aiohttp.ClientSession, status: int
) -> None:
    """One request, and the status in the message."""
    shop.answers["/tree"] = [raw_answer(TREE, status=status)]
    with pytest.raises(SourceError, match=f"HTTP {status}") as caught:
        await fetch(f"{shop.url}/tree", session)
    assert not isinstance(caught.value, Transient)
    assert len(shop.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_what_may_pass_is_tried_again(
    shop: FakeShop, session: aiohttp.ClientSession, status: int
) -> None:
    """Two failures are bridged, five are not."""
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
    """To another origin the credentials do not go along."""
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
async def test_redirects_lead_to_http_only(
    shop: FakeShop, session: aiohttp.ClientSession, target: str
) -> None:
    """Anything else is refused, without its address."""
    shop.answers["/tree"] = [raw_answer(b"", status=302, headers={"Location": target})]
    with pytest.raises(SourceError) as caught:
        await fetch(f"{shop.url}/tree", session)
    assert "redirects to an address that is not http(s)" in str(caught.value)
    assert len(shop.requests) == 1


async def test_redirects_in_a_circle_end(shop: FakeShop, session: aiohttp.ClientSession) -> None:
    """The message holds no query."""

    async def again(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/tree?key=hush")

    shop.answers["/tree"] = [again]
    with pytest.raises(SourceError, match="too many redirects") as caught:
        await fetch(f"{shop.url}/tree?key=hush", session)
    assert "hush" not in str(caught.value)


async def test_the_configured_limits_hold(shop: FakeShop, session: aiohttp.ClientSession) -> None:
    """max_body_bytes refuses, and names itself."""
    shop.answers["/tree"] = [raw_answer(TREE)]
    with pytest.raises(BadSnapshot, match="max_body_bytes"):
        await fetch(f"{shop.url}/tree", session, max_body_bytes=10)
    assert len(shop.requests) == 1


async def test_no_token_goes_to_a_stranger(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """TikTok Shop's secrets stay out of another source's requests."""
    shop.answers["/tree"] = [raw_answer(TREE)]
    catalog = {"source": "http", "url": f"{shop.url}/tree"}
    settings = shop.settings(tmp_path).model_copy(
        update={"catalogs": Settings.model_validate({"catalogs": {"us": catalog}}).catalogs}
    )
    await open_source(session, settings).fetch()
    assert "x-tts-access-token" not in {name.lower() for name in shop.requests[0].headers}
    assert "sign" not in shop.requests[0].query
