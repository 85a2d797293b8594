"""TikTok Shop's answers: the envelope, and the text and status of each error.

The messages are TikTok's own (its page "Common errors") where that page has one: clients have to
branch on them, since 36009004 means several things (TikTok Shop API, Errors).
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

JSON: Final = "application/json; charset=utf-8"

BAD_CODE: Final = 36004004
REFRESH_EXPIRED: Final = 36004001
TOO_MANY: Final = 36009002
INVALID: Final = 36009004
NO_PATH: Final = 36009009
NO_METHOD: Final = 36009010
OLD_VERSION: Final = 36009014
OTHER_SHOP: Final = 101000
EXPIRED: Final = 105002
NO_SCOPE: Final = 105005
BAD_SIGN: Final = 106001
NO_CIPHER: Final = 106013
INACTIVE: Final = 36009043
NEEDS_V2: Final = 12052217


class ErrorText(NamedTuple):
    """The message and the HTTP status of an error code."""

    message: str
    status: int = 200


ERROR_TEXTS: Final[Mapping[int, ErrorText]] = {
    BAD_CODE: ErrorText("Invalid auth code."),
    REFRESH_EXPIRED: ErrorText("rt has expired"),
    36004005: ErrorText("can not find related auth record"),
    TOO_MANY: ErrorText(
        "Too many requests. You've made too many requests in a short period of time.", 429
    ),
    36009003: ErrorText("Internal error. Please try again later.", 500),
    36009007: ErrorText("Request timeout. The request to the endpoint timed out.", 504),
    INVALID: ErrorText("Invalid request. A query parameter or header is invalid.", 400),
    NO_PATH: ErrorText(
        "Invalid path. The specified path does not match any available endpoint.", 404
    ),
    NO_METHOD: ErrorText(
        "Invalid method. The HTTP method used is not supported by this endpoint.", 405
    ),
    OLD_VERSION: ErrorText(
        "Invalid API version. The `version` value is invalid or unsupported.", 400
    ),
    36009033: ErrorText(
        "Access denied. Your IP address is not in the IP allow list configured for this app.", 403
    ),
    36009037: ErrorText("Too many requests. The hourly limit of a development shop is reached."),
    INACTIVE: ErrorText("Access denied. The shop is inactive.", 403),
    36009044: ErrorText("Access denied. The seller is inactive.", 403),
    OTHER_SHOP: ErrorText(
        "Invalid query or header. The `shop_cipher` query parameter or `x-tts-access-token` "
        "header is invalid.",
        401,
    ),
    EXPIRED: ErrorText(
        "Expired credentials. The `access_token` or `x-tts-access-token` header has expired.", 401
    ),
    NO_SCOPE: ErrorText(
        "Access denied. The app is not authorized to access the endpoint because the access "
        "scopes granted for the app or the access token do not contain the required access scope "
        "for the endpoint.",
        403,
    ),
    BAD_SIGN: ErrorText("Invalid credentials. The `sign` query parameter is invalid.", 401),
    NO_CIPHER: ErrorText(
        "Missing identifier. The `shop_cipher` query parameter is required to identify the "
        "target shop.",
        400,
    ),
    NEEDS_V2: ErrorText(
        "All region shops must use V2 categories. Check the documentation for further details."
    ),
}
UNKNOWN: Final = ErrorText("The sandbox was asked to answer with this code.")


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
        text = ERROR_TEXTS.get(code, UNKNOWN)
        self.code = code
        self.message = text.message if message is None else message
        self.status = text.status if status is None else status
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
    phrases = {known.value: known.phrase for known in HTTPStatus}
    title = f"{status} {phrases.get(status, 'Unknown')}"
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
