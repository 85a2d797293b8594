"""The texts and statuses of error codes."""

import json
from pathlib import Path

import pytest

from publisher.sandbox import responses
from tests.publisher.sandbox.caller import faulty, sandbox_caller


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (36009003, 500, "Internal error"),
        (36009007, 504, "timeout"),
        (36009037, 200, "hourly"),
        (36009033, 403, "IP"),
        (36009043, 403, "shop"),
        (36009044, 403, "seller"),
        (105005, 403, "scope"),
        (105002, 401, "expired"),
        (36009014, 400, "version"),
        (4711, 200, "sandbox"),
    ],
)
async def test_each_code_has_a_fitting_text_and_status(
    code: int, status: int, expected: str
) -> None:
    """Any envelope code can be requested; message and HTTP status fit it."""
    async with sandbox_caller(faulty(f"code={code}")) as caller:
        reply = await caller.signed()
        assert (reply.status, reply.code, reply.json["data"]) == (status, code, None)
        assert expected in reply.message


async def test_the_status_of_an_expired_token_is_an_option() -> None:
    """A requested 105002 has the HTTP status that a real expiry has."""
    async with sandbox_caller(faulty("code=105002", expired_status=200)) as caller:
        assert (await caller.signed()).status == 200


def test_the_texts_are_those_of_tiktok() -> None:
    """Clients branch on them: the page has the message and status of each code."""
    page = json.loads(Path(__file__).with_name("responses.json").read_text("utf-8"))
    assert {str(code): list(answer) for code, answer in responses.DEFINED.items()} == page
    assert list(responses.UNKNOWN) == ["The sandbox was asked to answer with this code.", 200]


@pytest.mark.parametrize(("status", "title"), [(502, "502 Bad Gateway"), (599, "599 Unknown")])
def test_a_page_of_a_gateway(status: int, title: str) -> None:
    """It names the status, also one that is in no list."""
    assert responses.html_page(status) == (
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    )
