"""Where snapshots come from. A source fetches bytes; what they say is `snapshot`'s business."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """What a source answered: a body of JSON that is complete, but not yet looked at.

    `bare_list`: the body may be a bare list of categories as well as the API's envelope.
    """

    body: bytes
    bare_list: bool


class Source(Protocol):
    """One catalog's way to its snapshots."""

    async def fetch(self) -> Answer:
        """Ask for the complete list, once, retries included.

        Raises SourceError, TokenError, RedisError where tokens are kept in Redis, or BadSnapshot
        for a body over the limit; their texts are fit for the log and the status.
        """
        ...
