"""The sandbox's endpoints: TikTok Shop's API and token server on one host, and a look inside.

Every answer but GET /sandbox is TikTok's envelope, whatever went wrong; no answer repeats a
value of its request, which could be a secret.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from publisher.sandbox import responses as answers
from publisher.sandbox import tree_faults as damage
from publisher.sandbox.delivery import deliver, deliver_bomb
from publisher.sandbox.faults import Fault, active
from publisher.sandbox.history import History, living
from publisher.sandbox.options import SandboxOptions
from publisher.sandbox.request_checks import Gate
from publisher.sandbox.responses import JSON, Refused
from publisher.sandbox.tokens import Tokens

if TYPE_CHECKING:
    from publisher.sandbox.tree import Tree

LARGEST_REQUEST: Final = 64 * 1024
"""Bytes of a request's body; a GET has none."""
DATE_AHEAD: Final = 2
"""Seconds that Retry-After is ahead of now when it is a date, which counts whole seconds."""
ELSEWHERE: Final = "/elsewhere"
"""Where the redirects of the fault `http=3xx` lead: nowhere a client should go."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """What the sandbox knows, and how it answers."""

    def __init__(self, options: SandboxOptions) -> None:
        self.tokens = Tokens(options)
        self.history = History(options.trees or living(options.categories, options.seed))
        self.faults = list(options.faults)
        self.requests: Counter[str] = Counter()
        self.served: Tree | None = None
        self._served_index = 0
        self._options = options
        self._gate = Gate(options, self.tokens)
        self._polls = 0
        self._answers = count(1)

    def app(self) -> web.Application:
        """Return the aiohttp application, which is for one server."""
        app = web.Application(middlewares=[self._answered], client_max_size=LARGEST_REQUEST)
        app.on_response_prepare.append(self._dated)
        for path, handler in {
            "/product/202309/categories": self._categories,
            "/authorization/202309/shops": self._shops,
            "/product/{version}/categories": self._old_version,
            "/authorization/{version}/shops": self._old_version,
            "/api/v2/token/get": self._token,
            "/api/v2/token/refresh": self._refresh,
            "/sandbox": self._look,
        }.items():
            app.router.add_get(path, handler, allow_head=False)
        app.router.add_post("/sandbox/next", self._next)
        return app

    async def _categories(self, request: web.Request) -> web.StreamResponse:
        self._polls += 1
        faults = active(self.faults, self._polls)
        await self._gate.check_categories(request)
        if "slow" in faults:
            await asyncio.sleep(faults["slow"].number)
        if "http" in faults:
            return _html(int(faults["http"].number))
        self._refuse(request, faults)
        if "bomb" in faults:
            bomb = await asyncio.to_thread(damage.bomb, int(faults["bomb"].number))
            return await deliver_bomb(request, bomb)
        return await self._serve(request, faults)

    async def _serve(self, request: web.Request, faults: Mapping[str, Fault]) -> web.StreamResponse:
        history = self.history
        if history.answered and self._options.advance == "poll":
            history.advance()
        index = history.index
        page, data = damage.damaged(history.page, faults)

        def arrived() -> None:
            self.served, self._served_index = page.rows, index
            history.answered = history.answered or data is history.page.data

        pieces = answers.envelope(self._request_id(), data)
        return await deliver(request, pieces, faults, arrived)

    def _refuse(self, request: web.Request, faults: Mapping[str, Fault]) -> None:
        if "inactive" in faults:
            ciphers = [shop.cipher for shop in self._options.shops]
            if request.query["shop_cipher"] in ciphers[int(faults["inactive"].number) - 1 :][:1]:
                raise Refused(answers.INACTIVE)
        if "code" in faults:
            code = int(faults["code"].number)
            status = self._options.expired_status if code == answers.EXPIRED else None
            raise Refused(code, status=status)
        if "retry-after" in faults:
            wait = faults["retry-after"].value
            date = formatdate(self._options.clock() + DATE_AHEAD, usegmt=True)
            headers = {"Retry-After": date if wait == "date" else wait}
            raise Refused(answers.TOO_MANY, headers=headers)

    async def _shops(self, request: web.Request) -> web.Response:
        await self._gate.check_shops(request)
        return self._success({"shops": [asdict(shop) for shop in self._options.shops]})

    async def _old_version(self, _request: web.Request) -> web.Response:
        raise Refused(answers.OLD_VERSION)

    async def _token(self, request: web.Request) -> web.Response:
        self._gate.check_app(request, "authorized_code")
        pair = self.tokens.exchange(request.query.get("auth_code", ""))
        return self._success(self.tokens.answer(pair))

    async def _refresh(self, request: web.Request) -> web.Response:
        self._gate.check_app(request, "refresh_token")
        pair = self.tokens.refresh(request.query.get("refresh_token", ""))
        return self._success(self.tokens.answer(pair))

    async def _look(self, _request: web.Request) -> web.Response:
        served = None
        if self.served is not None:
            served = {"index": self._served_index, "categories": len(self.served)}
        return web.json_response(
            {"requests": self.requests, "index": self.history.index, "served": served}
        )

    async def _next(self, request: web.Request) -> web.Response:
        self.history.advance()
        return await self._look(request)

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        self.requests[resource.canonical if resource else "other"] += 1
        try:
            return await handler(request)
        except Refused as refused:
            return self._refusal(refused)
        except web.HTTPNotFound:
            return self._refusal(Refused(answers.NO_PATH))
        except web.HTTPMethodNotAllowed as error:
            allowed = {"Allow": ", ".join(sorted(error.allowed_methods))}
            return self._refusal(Refused(answers.NO_METHOD, headers=allowed))
        except web.HTTPException as error:
            return self._refusal(Refused(answers.INVALID, error.reason, status=error.status))

    async def _dated(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self._options.clock(), usegmt=True)

    def _success(self, data: Mapping[str, Any]) -> web.Response:
        body = answers.success(self._request_id(), data)
        return web.Response(body=body, headers={"Content-Type": JSON})

    def _refusal(self, refused: Refused) -> web.Response:
        return web.Response(
            body=answers.refusal(self._request_id(), refused),
            status=refused.status,
            headers={"Content-Type": JSON, **refused.headers},
        )

    def _request_id(self) -> str:
        now = datetime.fromtimestamp(self._options.clock(), UTC)
        return f"{now:%Y%m%d%H%M%S}{next(self._answers):020X}"


def _html(status: int) -> web.Response:
    phrases = {known.value: known.phrase for known in HTTPStatus}
    title = f"{status} {phrases.get(status, 'Unknown')}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    response = web.Response(text=page, status=status, content_type="text/html")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        response.headers["Location"] = ELSEWHERE
    return response
