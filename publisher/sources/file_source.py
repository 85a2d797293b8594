"""The source `file` reads the tree from a file on this machine."""

import asyncio
from pathlib import Path

from plumbing.config.settings import CatalogSettings
from publisher.errors import BadSnapshot, SourceError
from publisher.sources import Answer
from publisher.sources.read_file import Unreadable, read_file


class FileSource:
    """Reads the file that a catalog's `url` names, at every fetch."""

    def __init__(self, settings: CatalogSettings) -> None:
        self._path = Path(settings.url or "")
        self._limit = settings.max_body_bytes

    async def fetch(self) -> Answer:
        """Return the file's content.

        Raises SourceError if it cannot be read, BadSnapshot if it has more than `max_body_bytes`.
        """
        try:
            body = await asyncio.to_thread(read_file, self._path, self._limit + 1)
        except Unreadable as error:
            raise SourceError(f"{self._path} {error}") from error
        if len(body) > self._limit:
            raise BadSnapshot(
                f"{self._path} has more than {self._limit} bytes: if that is right, raise "
                "max_body_bytes"
            )
        return Answer(body, bare_list=True)
