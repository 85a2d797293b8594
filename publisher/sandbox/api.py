"""The sandbox's endpoints: TikTok Shop's API, its token server, and /sandbox.

Every answer except that of /sandbox is TikTok's envelope, errors included. No answer repeats a
value of its request, which could be a secret.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from itertools import count
from typing import Any, Final

import orjson
from aiohttp import web

from publisher.sandbox import responses, tree_faults
from publisher.sandbox.delivery import deliver, deliver_gzip
from publisher.sandbox.faults import Fault, active_faults
from publisher.sandbox.options import SandboxOptions
from publisher.sandbox.request_checks import RequestChecks
from publisher.sandbox.responses import JSON, ErrorResponse
from publisher.sandbox.synthetic import mutating_trees
from publisher.sandbox.tokens import TokenIssuer
from publisher.sandbox.tree import OrderedTree, Tree

MAX_REQUEST_BYTES: Final = 64 * 1024
"""Bytes of a request's body; a GET has none."""
DATE_AHEAD: Final = 2
"""Seconds that Retry-After is ahead of now when it is a date, which counts whole seconds."""
REDIRECT_TARGET: Final = "/elsewhere"
"""Where the redirects of the fault `http=3xx` lead: a path that no client should request."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TreeSequence:
    """The trees that a sandbox serves, one after another; the last one stays for ever.

    `index` counts them from 0. `is_answered` says whether the current tree was served completely.
    """

    def __init__(self, trees: Iterable[Tree]) -> None:
        self._trees = iter(trees)
        self.current = OrderedTree(next(self._trees))
        self.index = 0
        self.is_answered = False

    def advance(self) -> None:
        """Go on to the next tree, if there is one."""
        tree = next(self._trees, None)
        if tree is not None:
            self.current = OrderedTree(tree)
            self.index += 1
            self.is_answered = False


class Api:
    """The state of a sandbox, and the handlers that answer its requests.

    `requests` counts per path; an unknown path or a wrong method counts as `other`. `served` has
    the rows of the last list that was sent completely, faulty or not. `faults` may be replaced or
    changed at any time; their `WHICH` counts from the sandbox's start.
    """

    def __init__(self, options: SandboxOptions) -> None:
        self.tokens = TokenIssuer(options)
        self.trees = TreeSequence(options.trees or mutating_trees(options.categories, options.seed))
        self.faults = list(options.faults)
        self.requests: Counter[str] = Counter()
        self.served: Tree = []
        self._served_index: int | None = None
        self._options = options
        self._checks = RequestChecks(options, self.tokens)
        self._category_requests = 0
        self._request_numbers = count(1)

    def app(self) -> web.Application:
        """Return the aiohttp application, which is for one server."""
        app = web.Application(
            middlewares=[self._count_and_convert_errors], client_max_size=MAX_REQUEST_BYTES
        )
        app.on_response_prepare.append(self._set_date)
        for path, handler in {
            "/product/202309/categories": self.get_categories,
            "/authorization/202309/shops": self.get_shops,
            "/product/{version}/categories": self.reject_version,
            "/authorization/{version}/shops": self.reject_version,
            "/api/v2/token/get": self.get_tokens,
            "/api/v2/token/refresh": self.refresh_tokens,
            "/sandbox": self.show_state,
        }.items():
            app.router.add_get(path, handler, allow_head=False)
        app.router.add_post("/sandbox/next", self.advance)
        return app

    async def get_categories(self, request: web.Request) -> web.StreamResponse:
        """Answer Get Categories, with the faults of this request."""
        self._category_requests += 1
        faults = active_faults(self.faults, self._category_requests)
        # A fault must not hide that the request is wrong.
        await self._checks.check_categories(request)
        if "slow" in faults:
            await asyncio.sleep(faults["slow"].number)
        if "http" in faults:
            status = int(faults["http"].number)
            is_redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
            headers = {"Location": REDIRECT_TARGET} if is_redirect else None
            page = responses.html_page(status)
            return web.Response(text=page, status=status, content_type="text/html", headers=headers)
        self._raise_error_faults(request, faults)
        if "bomb" in faults:
            bomb = await asyncio.to_thread(tree_faults.gzip_bomb, int(faults["bomb"].number))
            return await deliver_gzip(request, bomb)
        return await self._serve_tree(request, faults)

    async def _serve_tree(
        self, request: web.Request, faults: Mapping[str, Fault]
    ) -> web.StreamResponse:
        trees = self.trees
        if trees.is_answered and self._options.advance == "poll":
            trees.advance()
        index = trees.index
        tree, data = tree_faults.with_faults(trees.current, faults)

        def on_complete() -> None:
            self.served, self._served_index = tree.rows, index
            # Identity, not equality: a faulty answer, or another tree by now, does not count.
            trees.is_answered = trees.is_answered or data is trees.current.data

        body = responses.success_envelope(self._request_id(), data)
        return await deliver(request, body, faults, on_complete)

    def _raise_error_faults(self, request: web.Request, faults: Mapping[str, Fault]) -> None:
        if "inactive" in faults:
            ciphers = [shop.cipher for shop in self._options.shops]
            if request.query["shop_cipher"] in ciphers[int(faults["inactive"].number) - 1 :][:1]:
                raise ErrorResponse(responses.INACTIVE)
        if "code" in faults:
            code = int(faults["code"].number)
            status = self._options.expired_status if code == responses.EXPIRED else None
            raise ErrorResponse(code, status=status)
        if "retry-after" in faults:
            wait = faults["retry-after"].value
            date = formatdate(self._options.clock() + DATE_AHEAD, usegmt=True)
            headers = {"Retry-After": date if wait == "date" else wait}
            raise ErrorResponse(responses.TOO_MANY_REQUESTS, headers=headers)

    async def get_shops(self, request: web.Request) -> web.Response:
        """Answer Get Authorized Shops."""
        await self._checks.check_shops(request)
        return self._success_response({"shops": [asdict(shop) for shop in self._options.shops]})

    async def reject_version(self, _request: web.Request) -> web.Response:
        """Reject a version of the API that is retired or unknown."""
        raise ErrorResponse(responses.OLD_VERSION)

    async def get_tokens(self, request: web.Request) -> web.Response:
        """Answer the exchange of an authorization code for a pair of tokens."""
        self._checks.check_app(request, "authorized_code")
        return self._success_response(self.tokens.exchange(request.query.get("auth_code", "")))

    async def refresh_tokens(self, request: web.Request) -> web.Response:
        """Answer a refresh of the tokens."""
        self._checks.check_app(request, "refresh_token")
        return self._success_response(self.tokens.refresh(request.query.get("refresh_token", "")))

    async def show_state(self, _request: web.Request) -> web.Response:
        """Answer GET /sandbox: requests per path, the current tree, the last served one."""
        served = None
        if self._served_index is not None:
            served = {"index": self._served_index, "categories": len(self.served)}
        state = {"requests": self.requests, "index": self.trees.index, "served": served}
        return web.json_response(state)

    async def advance(self, request: web.Request) -> web.Response:
        """Answer POST /sandbox/next: go on to the next tree."""
        self.trees.advance()
        return await self.show_state(request)

    @web.middleware
    async def _count_and_convert_errors(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        resource = request.match_info.route.resource
        self.requests[resource.canonical if resource else "other"] += 1
        try:
            return await handler(request)
        except ErrorResponse as raised:
            error = raised
        except web.HTTPNotFound:
            error = ErrorResponse(responses.NO_PATH)
        except web.HTTPMethodNotAllowed as raised:
            allowed = {"Allow": ", ".join(sorted(raised.allowed_methods))}
            error = ErrorResponse(responses.NO_METHOD, headers=allowed)
        except web.HTTPException as raised:
            error = ErrorResponse(responses.INVALID, raised.reason, status=raised.status)
        return web.Response(
            body=responses.error_envelope(self._request_id(), error),
            status=error.status,
            headers={"Content-Type": JSON, **error.headers},
        )

    async def _set_date(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self._options.clock(), usegmt=True)

    def _success_response(self, data: Mapping[str, Any]) -> web.Response:
        body = responses.success_envelope(self._request_id(), orjson.dumps(data))
        return web.Response(body=body, headers={"Content-Type": JSON})

    def _request_id(self) -> str:
        now = datetime.fromtimestamp(self._options.clock(), UTC)
        return f"{now:%Y%m%d%H%M%S}{next(self._request_numbers):020X}"
