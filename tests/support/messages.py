"""Match the whole message of an error: `pytest.raises(X, match=whole("…"))`."""

import re


def whole(message: str) -> str:
    """Return the pattern that only the whole `message` matches."""
    return rf"\A{re.escape(message)}\Z"
