"""Fault specifications, the requests they apply to, and their error answers."""

from email.utils import parsedate_to_datetime

import pytest

from publisher.sandbox import BadOption, Fault, SandboxShop
from publisher.sandbox.faults import KINDS
from tests.publisher.sandbox.caller import NOW, SHOPS, Clock, faulty, sandbox_caller


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("cut", Fault("cut", "", 1, None)),
        ("cut@3", Fault("cut", "", 3, 3)),
        ("code=36009003@2-4", Fault("code", "36009003", 2, 4)),
        ("http=502@5-", Fault("http", "502", 5, None)),
        ("slow=0.25", Fault("slow", "0.25", 1, None)),
        ("slow", Fault("slow", "5", 1, None)),
        ("retry-after=date@1", Fault("retry-after", "date", 1, 1)),
    ],
)
def test_specs_are_parsed(spec: str, fault: Fault) -> None:
    """A SPEC is KIND or KIND=VALUE, each with or without WHICH."""
    assert Fault.parse(spec) == fault


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", "unknown kind"),
        ("cuts", "did you mean cut"),
        ("@1", "unknown kind"),
        ("code", "code needs a value"),
        ("code=", "has to be a whole number"),
        ("code=0", "from 1 to"),
        ("code=1.5", "whole number"),
        ("code=-1", "whole number"),
        ("code=\u0661", "whole number"),
        ("http=99", "from 200 to 599"),
        ("http=9" + "9" * 5000, "from 200 to 599"),
        ("slow=nan", "a number from 0 to 3600"),
        ("slow=1e3", "a number from 0 to 3600"),
        ("slow=date", "a number from 0 to 3600"),
        ("retry-after=soon", "or date"),
        ("bomb=5000", "from 1 to 4096"),
        ("cut=1", "takes no value"),
        ("cut@", "after @"),
        ("cut@0", "after @"),
        ("cut@4-2", "after @"),
        ("cut@-2", "after @"),
        ("cut@1@2", "after @"),
        ("cut@1,2", "after @"),
    ],
)
def test_wrong_specs_are_one_clear_line(spec: str, expected: str) -> None:
    """The message names the SPEC and its mistake."""
    with pytest.raises(BadOption) as caught:
        Fault.parse(spec)
    assert str(caught.value).startswith(f"fault {spec!r}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_kind_is_explained() -> None:
    """The help of the command lists them all."""
    assert all(kind.meaning for kind in KINDS.values())
    assert len(KINDS) == 14


async def test_faults_apply_to_the_given_requests_only() -> None:
    """All requests for categories are counted, rejected ones too, and no others."""
    async with sandbox_caller(faulty("code=36009003@2-3", "code=36009007@5-")) as caller:
        codes = []
        for _ in range(6):
            assert (await caller.signed(SHOPS)).code == 0
            codes.append((await caller.signed()).code)
        assert codes == [0, 36009003, 36009003, 0, 36009007, 36009007]


async def test_a_wrong_request_is_rejected_before_a_fault() -> None:
    """A fault does not hide that the client is wrong."""
    async with sandbox_caller(faulty("http=502")) as caller:
        assert (await caller.signed(secret="another")).code == 106001


async def test_one_of_several_shops_is_inactive() -> None:
    """The others are answered; a number beyond the last shop applies to none."""
    shops = (SandboxShop(cipher="one"), SandboxShop(cipher="two"))
    async with sandbox_caller(faulty("inactive=2", shops=shops)) as caller:
        assert (await caller.signed(query={"shop_cipher": "one"})).code == 0
        assert (await caller.signed(query={"shop_cipher": "two"})).code == 36009043
        caller.sandbox.api.faults = [Fault.parse("inactive=3")]
        assert (await caller.signed(query={"shop_cipher": "two"})).code == 0


async def test_http_is_an_html_page() -> None:
    """There is no envelope at all."""
    async with sandbox_caller(faulty("http=502@1", "http=599@2", "http=204@3")) as caller:
        replies = [await caller.signed() for _ in range(3)]
        assert [reply.status for reply in replies] == [502, 599, 204]
        assert b"<h1>502 Bad Gateway</h1>" in replies[0].body
        assert replies[0].headers["Content-Type"].startswith("text/html")
        assert (await caller.signed()).code == 0


async def test_redirects_lead_elsewhere() -> None:
    """A client that follows one shows in the requests."""
    async with sandbox_caller(faulty("http=302")) as caller:
        assert (await caller.signed()).headers["Location"] == "/elsewhere"
        assert caller.sandbox.api.requests["other"] == 0


async def test_retry_after_is_seconds_or_a_date() -> None:
    """429 and 36009002; a date is two seconds ahead of the sandbox's clock."""
    specs = ("retry-after=7@1", "retry-after=date@2", "retry-after@3")
    async with sandbox_caller(faulty(*specs, clock=Clock())) as caller:
        replies = [await caller.signed() for _ in range(3)]
        assert [(reply.status, reply.code) for reply in replies] == [(429, 36009002)] * 3
        assert replies[0].headers["Retry-After"] == "7"
        date = parsedate_to_datetime(replies[1].headers["Retry-After"])
        assert date.timestamp() == NOW + 2
        assert replies[2].headers["Retry-After"] == "1"
