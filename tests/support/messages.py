"""Match the whole message of an error, so that no part of it can change unnoticed."""

import re


def whole(message: str) -> str:
    """Return the pattern for `pytest.raises(match=…)` that only the whole `message` matches."""
    return rf"\A{re.escape(message)}\Z"
