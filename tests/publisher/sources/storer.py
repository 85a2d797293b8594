"""A process of its own that stores one pair after the other: `storer URL FOLDER`."""

import asyncio
import itertools
import sys
from pathlib import Path

from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair


async def store(file: FileTokenStore) -> None:
    for number in itertools.count():
        pair = TokenPair(access_token=f"access-{number}", refresh_token=f"refresh-{number}")
        await file.store(pair)
        if number == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(store(FileTokenStore(Path(sys.argv[2]) / "tokens.json")))
