"""Writes logs to stderr: for people on a terminal, as JSON elsewhere.

Nothing else in the project configures logging. Tracebacks contain no local variables, which could
be secrets. structlog is imported when the first line is written: a `sync` that goes well writes
none, and structlog, which imports rich, takes a fifth of the time that all other imports take.
"""

import sys
from typing import Any, Final

import stamina.instrumentation

from plumbing.config.settings import CommonSettings

_pending: Final[list[CommonSettings]] = []
"""The settings that `configure` received, until there is a line to write."""


def configure(settings: CommonSettings) -> None:
    """Set up the logs of this process. Call it once, from a command."""
    stamina.instrumentation.set_on_retry_hooks([])  # the outcome of retries is logged instead
    _pending[:] = [settings]


def logger(name: str) -> Any:
    """Return the logger of a module, with the methods of structlog's loggers."""
    return _LazyLogger(name)


class _LazyLogger:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        import structlog  # noqa: PLC0415  see above

        if _pending:
            _configure_structlog(_pending.pop())
        return getattr(structlog.get_logger(self._name), method)


def _configure_structlog(settings: CommonSettings) -> None:
    import structlog  # noqa: PLC0415  see above

    is_terminal = sys.stderr.isatty()
    if settings.log_format == "json" or (settings.log_format == "auto" and not is_terminal):
        renderers: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        plain = structlog.dev.plain_traceback
        renderers = [structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=plain)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
