"""Logs on stderr, as `lines` writes them, for all modules.

Log on the edge: an outage is one line when it starts and one when it ends. Nothing else in the
project configures logging.

What writes lines is imported for the first one, and a `sync` that went well logs none: structlog,
with rich that it brings along, takes a fifth of what importing all the rest does.
"""

import sys
from typing import Any, Final

import stamina.instrumentation

from plumbing.config.settings import Settings

_waiting: Final[list[Settings]] = []
"""What `configure` was given, until there is a line to write."""


def configure(settings: Settings) -> None:
    """Set up the logs of this process. Call it once, from a command."""
    stamina.instrumentation.set_on_retry_hooks([])  # retries are told by their outcome
    _waiting[:] = [settings]
    if "structlog" in sys.modules:  # then somebody may log with it, and not by `logger`
        _lines()


def logger(name: str) -> Any:
    """Return the logger of a module: structlog's, once something is logged."""
    return _Logger(name)


class _Logger:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        return getattr(_lines().logger(self._name), method)


def _lines() -> Any:
    from plumbing import lines  # noqa: PLC0415  see above

    if _waiting:
        lines.configure(_waiting.pop())
    return lines
