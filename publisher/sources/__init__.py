"""Sources: from a catalog's settings to the bytes of its snapshot.

Sources check that an answer is complete and no error; `core` checks the categories in it.
Imports `publisher.errors` and the plumbing.
"""

from typing import NamedTuple, Protocol


class Answer(NamedTuple):
    """The complete body of a response or a file: JSON, not parsed yet.

    `bare_list`: the document may be a list of categories instead of the API's envelope.
    """

    body: bytes
    bare_list: bool


class Source(Protocol):
    """Fetches the snapshots of one catalog."""

    async def fetch(self) -> Answer:
        """Request the complete list of categories, with retries.

        Raises SourceError or TokenError, RedisError if the tokens are in Redis and it fails, and
        BadSnapshot for a body over the limit. No message contains a secret.
        """
