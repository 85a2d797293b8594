"""A process that stores one token pair after another in a file until killed.

python -m tests.publisher.sources.token_storer FOLDER
"""

import asyncio
import itertools
import sys
from pathlib import Path

from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair


async def store_pairs(file: FileTokenStore) -> None:
    """Store pair 0, print `ready`, and go on with the next pairs."""
    for number in itertools.count():
        pair = TokenPair(access_token=f"access-{number}", refresh_token=f"refresh-{number}")
        await file.store(pair)
        if number == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(store_pairs(FileTokenStore(Path(sys.argv[1]) / "tokens.json")))
