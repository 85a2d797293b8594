"""What each of TikTok Shop's errors means to us (fact sheet, Errors and Tokens).

The envelope's code decides, at whatever HTTP status; the status only where the code says nothing.
"""

import enum
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from plumbing.errors import Error
from publisher.errors import NotAuthorized, ShopClosed, SourceError, TokenExpired, Transient
from publisher.sources.envelope import Envelope, begins_with_success
from publisher.sources.tiktok.tokens.pair import AUTHORIZE
from publisher.sources.transport import TOO_MANY_REQUESTS, Reply, asked_to_wait, status_error

HOUR: Final = 3600


class Reaction(enum.Enum):
    """What to do about an error."""

    RETRY = "ask again, with back-off"
    WAIT = "ask again after Retry-After, or with back-off"
    NEXT_HOUR = "fail the poll; the next one waits for the next full hour"
    RENEW = "get another access token, once, and ask again, once"
    AUTHORIZE = "ask a stand-in shop, or else fail; someone has to authorize the app again"
    CLOSED = "ask a stand-in shop, or else as FIX"
    FIX = "fail the poll; someone has to fix what the message says"


class Known(NamedTuple):
    """One error of the API: what it means and what to do about it.

    `{section}` in the advice becomes the place of the catalog in publisher.toml, `{authorize}` the
    command that gets it new tokens.
    """

    reaction: Reaction
    meaning: str
    advice: str


AUTHORIZE_AGAIN: Final = "run `{authorize}`"
CIPHERS: Final = "`{authorize}` lists the shops with their ciphers"
CHECK_APP: Final = (
    "check that CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET is the secret of the app key"
)
LIMIT: Final = "the app asks too often; a longer poll_every helps"

REACTIONS: Final[Mapping[int, Known]] = {
    105002: Known(Reaction.RENEW, "the access token has expired", AUTHORIZE_AGAIN),
    36009002: Known(Reaction.WAIT, "too many requests", LIMIT),
    36009003: Known(Reaction.RETRY, "internal error", "it may pass; see TikTok Shop's status"),
    36009007: Known(Reaction.RETRY, "time-out at TikTok Shop", "it may pass"),
    36009037: Known(Reaction.NEXT_HOUR, "hourly limit of a development shop reached", LIMIT),
    106001: Known(Reaction.FIX, "bad signature", CHECK_APP),
    106013: Known(
        Reaction.FIX, "shop cipher missing", f"set shop_cipher in {{section}}; {CIPHERS}"
    ),
    101000: Known(
        Reaction.CLOSED,
        "the access token does not fit the shop",
        f"check shop_cipher in {{section}}; {CIPHERS}, and stores tokens that fit them",
    ),
    105005: Known(
        Reaction.FIX,
        "scope missing",
        "enable the scope of this request for the app in TikTok Shop's Partner Center, then "
        f"let the seller authorize the app again and {AUTHORIZE_AGAIN}",
    ),
    36009033: Known(
        Reaction.FIX,
        "this machine's address is not allowed",
        "add its public IP address to the app's IP allow list in TikTok Shop's Partner Center",
    ),
    36009043: Known(Reaction.CLOSED, "the shop is inactive", "reactivate it at TikTok Shop"),
    36009044: Known(Reaction.CLOSED, "the seller is inactive", "reactivate them at TikTok Shop"),
    12052217: Known(
        Reaction.FIX,
        "this market must use category version v2",
        'set category_version = "v2" in {section} (a catalog published before also needs '
        "`category-publisher sync CATALOG --accept-origin`)",
    ),
    36009014: Known(
        Reaction.FIX,
        "this version of the API is retired",
        "install a newer category-publisher",
    ),
    36004001: Known(
        Reaction.AUTHORIZE,
        "the refresh token has expired, or is used up: by a refresh whose answer was lost, or by "
        "another system that has the same tokens",
        AUTHORIZE_AGAIN,
    ),
    36004004: Known(
        Reaction.AUTHORIZE,
        "the authorization code is wrong, too old or used up",
        "let the seller authorize the app again, and use the new code at once, and once",
    ),
    36004005: Known(
        Reaction.AUTHORIZE,
        "there is no such authorization: the seller may have withdrawn it",
        AUTHORIZE_AGAIN,
    ),
}
WITHOUT_WAIT: Final[Mapping[Reaction, type[Error]]] = {
    Reaction.RENEW: TokenExpired,
    Reaction.AUTHORIZE: NotAuthorized,
    Reaction.CLOSED: ShopClosed,
    Reaction.FIX: SourceError,
}
"""Reactions whose error says nothing of when to ask again."""
AMBIGUOUS: Final = 36009004
"""Stands for several things; the message tells which. See `_by_message`."""


@dataclass(frozen=True)
class Asked:
    """What an error's text has to know of the request."""

    section: str
    """Where the catalog is configured: `[catalogs.us]`."""
    hidden: Iterable[str] = field(repr=False)
    """Secrets that the answer might quote."""
    clock: Callable[[], float] = time.time
    """This machine's Unix seconds."""
    authorize: str = AUTHORIZE
    """The command that gets new tokens for it."""


def error_of(reply: Reply, asked: Asked) -> Error | None:
    """Return the error that `reply` is, or None if it is a success.

    SourceError, of it Transient if asking again may help, TokenExpired if another access token may
    and ShopClosed if another shop may; NotAuthorized if only an authorization helps. A body without
    an envelope is judged by the HTTP status alone: of a success, what it says is `snapshot`'s
    business.
    """
    succeeded = 200 <= reply.status < 300  # noqa: PLR2004  2xx
    if succeeded and begins_with_success(reply.body):
        return None
    envelope = Envelope.read(reply.body)
    if envelope is None or envelope.code == 0:
        return None if succeeded else status_error(reply, asked.clock())
    known = _known(envelope, reply, asked)
    text = (
        f"{reply.place}: TikTok Shop refused: {known.meaning} ({envelope.told(asked.hidden)}): "
        f"{_filled(known.advice, asked)}"
    )
    return _raised(known.reaction, text, reply, asked)


def _filled(advice: str, asked: Asked) -> str:
    return advice.replace("{section}", asked.section).replace("{authorize}", asked.authorize)


def _known(envelope: Envelope, reply: Reply, asked: Asked) -> Known:
    if envelope.code == AMBIGUOUS:
        return _by_message(envelope.message, reply, asked)
    if envelope.code in REACTIONS:
        return REACTIONS[envelope.code]
    if reply.status == TOO_MANY_REQUESTS:
        return REACTIONS[36009002]
    meaning = f"HTTP {reply.status}, an error that is not in our list"
    reaction = Reaction.RETRY if reply.status >= 500 else Reaction.FIX  # noqa: PLR2004  5xx
    return Known(
        reaction, meaning, "look the code up at TikTok Shop, or ask its support with request_id"
    )


def _by_message(message: str, reply: Reply, asked: Asked) -> Known:
    """Tell what 36009004 means this time."""
    if re.search(r"access[-_ ]?token", message, re.IGNORECASE):
        return Known(Reaction.RENEW, "the access token is not accepted", AUTHORIZE_AGAIN)
    if re.search(r"time[-_ ]?stamp", message, re.IGNORECASE):
        return Known(Reaction.FIX, "the timestamp is not accepted", _clock_advice(reply, asked))
    if re.search(r"\bsign", message, re.IGNORECASE):
        return Known(Reaction.FIX, "the signature is not accepted", CHECK_APP)
    if re.search(r"app[-_ ]?(key|secret)", message, re.IGNORECASE):
        return Known(Reaction.FIX, "the app is not accepted", CHECK_APP)
    return Known(Reaction.FIX, "the request is not accepted", "the message says why")


def _clock_advice(reply: Reply, asked: Asked) -> str:
    advice = "set this machine's clock right (NTP)"
    if reply.date is None:
        return advice
    ahead = asked.clock() - reply.date
    side = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {abs(ahead):.0f} s {side} TikTok Shop's: {advice}"


def _raised(reaction: Reaction, text: str, reply: Reply, asked: Asked) -> Error:
    if kind := WITHOUT_WAIT.get(reaction):
        return kind(text)
    now = asked.clock()
    if reaction is Reaction.NEXT_HOUR:
        here = now if reply.date is None else reply.date
        return SourceError(text, not_before=HOUR - here % HOUR)
    wait = reply.retry_after(now)
    if reaction is Reaction.WAIT:
        text += asked_to_wait(wait)
    return Transient(text, not_before=wait)
