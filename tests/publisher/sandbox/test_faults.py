import asyncio
import zlib
from email.utils import parsedate_to_datetime

import aiohttp
import orjson
import pytest

from publisher.sandbox import BadOption, Fault, Row, SandboxOptions
from publisher.sandbox.faults import KINDS
from publisher.sandbox.options import SandboxShop
from tests.publisher.sandbox.caller import CATEGORIES, NOW, SHOPS, Caller, Clock, calling
from tests.support.waiting import eventually


def faulty(*specs: str, categories: int = 600, **options: object) -> SandboxOptions:
    faults = tuple(Fault.parse(spec) for spec in specs)
    return SandboxOptions(faults=faults, categories=categories, **options)  # type: ignore[arg-type]


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
def test_specs_are_read(spec: str, fault: Fault) -> None:
    """KIND, KIND=VALUE and WHICH."""
    assert Fault.parse(spec) == fault


@pytest.mark.parametrize(
    ("spec", "says"),
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
def test_wrong_specs_are_one_clear_line(spec: str, says: str) -> None:
    """What is wrong, with the SPEC that it is about."""
    with pytest.raises(BadOption, match=r"^fault ") as caught:
        Fault.parse(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "status", "says"),
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
async def test_code_refuses_with_fitting_words(code: int, status: int, says: str) -> None:
    """Envelope codes can be had at will; messages and statuses fit them."""
    async with calling(faulty(f"code={code}")) as caller:
        reply = await caller.signed()
        assert (reply.status, reply.code, reply.json["data"]) == (status, code, None)
        assert says in reply.message


async def test_one_of_several_shops_is_inactive() -> None:
    """The others answer; a number beyond the last shop hits none."""
    shops = (SandboxShop(cipher="one"), SandboxShop(cipher="two"))
    async with calling(faulty("inactive=2", shops=shops)) as caller:
        assert (await caller.signed(query={"shop_cipher": "one"})).code == 0
        assert (await caller.signed(query={"shop_cipher": "two"})).code == 36009043
        caller.sandbox.faults = [Fault.parse("inactive=3")]
        assert (await caller.signed(query={"shop_cipher": "two"})).code == 0


async def test_an_expired_code_comes_with_the_status_asked_for() -> None:
    """As the real expiry does."""
    async with calling(faulty("code=105002", expired_status=200)) as caller:
        assert (await caller.signed()).status == 200


async def test_http_is_a_page_of_html() -> None:
    """No envelope at all."""
    async with calling(faulty("http=502@1", "http=599@2", "http=204@3")) as caller:
        replies = [await caller.signed() for _ in range(3)]
        assert [reply.status for reply in replies] == [502, 599, 204]
        assert b"<h1>502 Bad Gateway</h1>" in replies[0].body
        assert replies[0].headers["Content-Type"].startswith("text/html")
        assert (await caller.signed()).code == 0


async def test_redirects_lead_elsewhere() -> None:
    """A client that follows one shows in the requests."""
    async with calling(faulty("http=302")) as caller:
        assert (await caller.signed()).headers["Location"] == "/elsewhere"
        assert caller.sandbox.requests["other"] == 0


async def test_retry_after_is_seconds_or_a_date() -> None:
    """429 and 36009002; a date is two seconds ahead of the sandbox's clock."""
    specs = ("retry-after=7@1", "retry-after=date@2", "retry-after@3")
    async with calling(faulty(*specs, clock=Clock())) as caller:
        replies = [await caller.signed() for _ in range(3)]
        assert [(reply.status, reply.code) for reply in replies] == [(429, 36009002)] * 3
        assert replies[0].headers["Retry-After"] == "7"
        date = parsedate_to_datetime(replies[1].headers["Retry-After"])
        assert date.timestamp() == NOW + 2
        assert replies[2].headers["Retry-After"] == "1"


async def test_slow_and_drip_are_whole_answers_that_take_their_time() -> None:
    """Late, or piece by piece; but all of it."""
    async with calling(faulty("slow=0.2@1", "drip=0.4@2")) as caller:
        loop = asyncio.get_running_loop()
        for at_least in (0.2, 0.38):
            begun = loop.time()
            assert len((await caller.signed()).rows) == len(caller.sandbox.served)
            assert loop.time() - begun >= at_least


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_cut_breaks_off_in_the_middle(encoding: str) -> None:
    """The length was promised, the connection is gone."""
    async with calling(faulty("cut")) as caller:
        with pytest.raises(aiohttp.ClientPayloadError):
            await caller.signed(headers={"Accept-Encoding": encoding})
        assert caller.sandbox.served == []


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_truncate_is_proper_http_with_half_of_the_json(encoding: str) -> None:
    """Only a parser notices."""
    async with calling(faulty("truncate@1")) as caller:
        reply = await caller.signed(headers={"Accept-Encoding": encoding})
        assert reply.status == 200
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(reply.body)
        assert caller.sandbox.served == []


async def test_branch_is_a_smaller_tree_that_looks_right() -> None:
    """No parent is missing, yet more than a guard lets through (contract, 6: 10 % and 20)."""
    async with calling(faulty("branch@1", categories=2_700)) as caller:
        smaller, whole = (await caller.signed()).rows, (await caller.signed()).rows
        ids = {row[0] for row in smaller}
        assert {row[1] for row in smaller} <= ids | {"0"}
        assert len(whole) == 2_700
        assert 270 < len(whole) - len(smaller) <= 1_350
        assert [row for row in whole if row[0] in ids] == smaller


@pytest.mark.parametrize("spec", ["branch", "orphan"])
async def test_damage_does_to_any_tree_what_it_can(spec: str) -> None:
    """A cycle, a lone category and an empty list end in an answer too."""
    cycle = [
        Row("1", "2", "One", is_leaf=False),
        Row("2", "1", "Two", is_leaf=False),
        Row("3", "3", "Three", is_leaf=False),
        Row("4", "0", "Four", is_leaf=True),
    ]
    for tree in (cycle, cycle[-1:], []):
        faults = (Fault.parse(spec),)
        async with calling(SandboxOptions(trees=(tree,), faults=faults)) as caller:
            assert len((await caller.signed()).rows) <= len(tree)


async def test_orphan_lacks_one_parent() -> None:
    """One category is missing, its children are there."""
    async with calling(faulty("orphan")) as caller:
        rows = (await caller.signed()).rows
        ids = {row[0] for row in rows}
        assert len(rows) == 599
        assert len({row[1] for row in rows} - ids - {"0"}) == 1


async def test_empty_null_data_and_next_page() -> None:
    """Answers with code 0 that are no complete list."""
    async with calling(faulty("empty@1", "null-data@2", "next-page@3")) as caller:
        assert (await caller.signed()).json["data"] == {"categories": []}
        assert (await caller.signed()).json["data"] is None
        data = (await caller.signed()).json["data"]
        assert data["next_page_token"]
        assert len(data["categories"]) == 600
        assert data["total_count"] == 601


async def test_a_bomb_is_small_until_it_is_opened() -> None:
    """Well-formed gzip and JSON, for those who have the room."""
    async with calling(faulty("bomb=20")) as caller:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            packed = Caller(caller.sandbox, session)
            reply = await packed.signed(headers={"Accept-Encoding": "identity"})
        assert reply.headers["Content-Encoding"] == "gzip"
        assert len(reply.body) < 200_000
        opened = zlib.decompress(reply.body, wbits=31)
        assert len(opened) > 20 * 1024 * 1024
        assert orjson.loads(opened)["data"] == {"categories": []}


async def test_faults_may_be_combined() -> None:
    """One of the tree, one of the way."""
    async with calling(faulty("orphan", "slow=0.1", "truncate@2")) as caller:
        assert len((await caller.signed()).rows) == 599
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads((await caller.signed()).body)


async def test_only_the_requests_that_are_meant_are_hit() -> None:
    """Counted over all requests for categories, refused ones too, and over no others."""
    async with calling(faulty("code=36009003@2-3", "code=36009007@5-")) as caller:
        codes = []
        for _ in range(6):
            assert (await caller.signed(SHOPS)).code == 0
            codes.append((await caller.signed()).code)
        assert codes == [0, 36009003, 36009003, 0, 36009007, 36009007]


async def test_a_wrong_request_is_judged_before_a_fault() -> None:
    """A fault does not hide that the client is wrong."""
    async with calling(faulty("http=502")) as caller:
        assert (await caller.signed(secret="another")).code == 106001


async def test_faults_can_be_replaced_while_it_runs() -> None:
    """Tests stage an outage and its end."""
    async with calling(faulty()) as caller:
        assert (await caller.signed()).code == 0
        caller.sandbox.faults = [Fault.parse("code=36009003")]
        assert (await caller.signed()).code == 36009003
        caller.sandbox.faults.clear()
        assert (await caller.signed()).code == 0


async def test_it_stops_at_once_while_an_answer_is_slow() -> None:
    """Leaving the context ends requests that would take long, and they are cut off."""
    loop = asyncio.get_running_loop()
    async with calling(faulty("slow=60")) as caller:
        task = asyncio.create_task(caller.signed())
        await eventually(lambda: _asked(caller))
        begun = loop.time()
        await caller.sandbox.__aexit__(None, None, None)
        assert loop.time() - begun < 5
        with pytest.raises(aiohttp.ClientError):
            await task


async def _asked(caller: Caller) -> bool:
    return caller.sandbox.requests[CATEGORIES] > 0


def test_every_kind_is_explained() -> None:
    """The help of the command lists them all."""
    assert all(kind.meaning for kind in KINDS.values())
    assert len(KINDS) == 14
