"""TikTok Shop's answers: the envelope, and the text and status of each error.

The messages are TikTok's own (its page "Common errors") where that page has one: clients have to
branch on them, since 36009004 means several things (TikTok Shop API, Errors).
"""

import http.client
from collections.abc import Mapping
from typing import Final

import orjson

JSON: Final = "application/json; charset=utf-8"


DEFINED: Final[dict[int, tuple[str, int]]] = {}
"""The message and the HTTP status of each code that is defined below."""
UNKNOWN: Final = ("The sandbox was asked to answer with this code.", 200)


def _define(code: int, message: str, status: int = 200) -> int:
    DEFINED[code] = message, status
    return code


BAD_CODE: Final = _define(36004004, "Invalid auth code.")
REFRESH_EXPIRED: Final = _define(36004001, "rt has expired")
_define(36004005, "can not find related auth record")
TOO_MANY_REQUESTS: Final = _define(
    36009002, "Too many requests. You've made too many requests in a short period of time.", 429
)
_define(36009003, "Internal error. Please try again later.", 500)
_define(36009007, "Request timeout. The request to the endpoint timed out.", 504)
INVALID: Final = _define(36009004, "Invalid request. A query parameter or header is invalid.", 400)
NO_PATH: Final = _define(
    36009009, "Invalid path. The specified path does not match any available endpoint.", 404
)
NO_METHOD: Final = _define(
    36009010, "Invalid method. The HTTP method used is not supported by this endpoint.", 405
)
OLD_VERSION: Final = _define(
    36009014, "Invalid API version. The `version` value is invalid or unsupported.", 400
)
_define(
    36009033,
    "Access denied. Your IP address is not in the IP allow list configured for this app.",
    403,
)
_define(36009037, "Too many requests. The hourly limit of a development shop is reached.")
INACTIVE: Final = _define(36009043, "Access denied. The shop is inactive.", 403)
_define(36009044, "Access denied. The seller is inactive.", 403)
OTHER_SHOP: Final = _define(
    101000,
    "Invalid query or header. The `shop_cipher` query parameter or `x-tts-access-token` "
    "header is invalid.",
    401,
)
EXPIRED: Final = _define(
    105002,
    "Expired credentials. The `access_token` or `x-tts-access-token` header has expired.",
    401,
)
NO_SCOPE: Final = _define(
    105005,
    "Access denied. The app is not authorized to access the endpoint because the access "
    "scopes granted for the app or the access token do not contain the required access scope "
    "for the endpoint.",
    403,
)
BAD_SIGN: Final = _define(
    106001, "Invalid credentials. The `sign` query parameter is invalid.", 401
)
NO_CIPHER: Final = _define(
    106013,
    "Missing identifier. The `shop_cipher` query parameter is required to identify the "
    "target shop.",
    400,
)
NEEDS_V2: Final = _define(
    12052217,
    "All region shops must use V2 categories. Check the documentation for further details.",
)


class ErrorResponse(Exception):
    """Raised to answer a request with an envelope whose `code` is not 0.

    `message` and `status` default to those of the code. Never put a value of the request into
    the message: it may be a secret.
    """

    def __init__(
        self,
        code: int,
        message: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        usual_message, usual_status = DEFINED.get(code, UNKNOWN)
        self.code = code
        self.message = usual_message if message is None else message
        self.status = usual_status if status is None else status
        self.headers = dict(headers or {})
        super().__init__(f"{code}: {self.message}")


def success_envelope(request_id: str, data: bytes) -> bytes:
    """Return the body of a successful answer with the JSON `data`."""
    head = orjson.dumps({"code": 0, "message": "Success", "request_id": request_id})
    return b"".join((head[:-1], b',"data":', data, b"}"))


def error_envelope(request_id: str, error: ErrorResponse) -> bytes:
    """Return the body that answers with `error`."""
    return orjson.dumps(
        {"code": error.code, "message": error.message, "request_id": request_id, "data": None}
    )


def html_page(status: int) -> str:
    """Return the page with which a proxy or gateway answers instead of the API."""
    title = f"{status} {http.client.responses.get(status, 'Unknown')}"
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
