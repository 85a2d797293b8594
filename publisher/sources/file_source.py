"""The source `file`: a tree in a file on this machine."""

import asyncio
from pathlib import Path

from plumbing.config.settings import CatalogSettings
from publisher.errors import BadSnapshot, SourceError
from publisher.sources import Answer
from publisher.sources import read_file as files


class FileSource:
    """Reads the file that a catalog's `url` names, anew at every fetch."""

    def __init__(self, settings: CatalogSettings) -> None:
        self._path = Path(settings.url or "")
        self._limit = settings.max_body_bytes

    async def fetch(self) -> Answer:
        """Return the file's content; SourceError if it cannot be read, BadSnapshot if too long."""
        try:
            body = await asyncio.to_thread(files.read, self._path, self._limit + 1)
        except files.Unreadable as error:
            raise SourceError(f"{self._path} {error}") from error
        if len(body) > self._limit:
            raise BadSnapshot(
                f"{self._path} has more than {self._limit} bytes: if that is right, raise "
                "max_body_bytes"
            )
        return Answer(body, bare_list=True)
