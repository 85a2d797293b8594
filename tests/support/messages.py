"""Match the whole message of an error: `pytest.raises(X, match=whole("…"))`."""

import re

ANY = "<any>"


def whole(message: str) -> str:
    """Return the pattern that only the whole `message` matches.

    `<any>` in it matches what differs from run to run: a folder, a port, an epoch.
    """
    pattern = "[^\n]*".join(re.escape(part) for part in message.split(ANY))
    return rf"\A{pattern}\Z"
