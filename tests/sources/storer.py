"""A process of its own that stores one pair after the other: `storer URL FOLDER`."""

import itertools
import sys
from pathlib import Path

from publisher.sources.tokens import TokenFile, TokenPair

if __name__ == "__main__":
    file = TokenFile(Path(sys.argv[2]) / "tokens.json")
    for number in itertools.count():
        file.store(TokenPair(access_token=f"access-{number}", refresh_token=f"refresh-{number}"))
        if number == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
