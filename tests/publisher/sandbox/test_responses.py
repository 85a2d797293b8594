"""The texts and statuses of error codes."""

import pytest

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
