"""What a line of the log looks like: for people on a terminal, JSON elsewhere.

structlog writes it. Tracebacks carry no local variables, which could be secrets.
Use it by `plumbing.logs`.
"""

import sys
from typing import Any

import structlog

from plumbing.config.settings import Settings


def logger(name: str) -> Any:
    """Return structlog's logger."""
    return structlog.get_logger(name)


def configure(settings: Settings) -> None:
    """Set up structlog for this process."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_json() if as_json else _console()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _json() -> list[Any]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _console() -> list[Any]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]
