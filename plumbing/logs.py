"""Structured logs on stderr: console lines on a terminal, JSON lines elsewhere.

Log on the edge: an outage is one line when it starts and one when it ends. Nothing else in the
project configures logging, and tracebacks carry no local variables, which could be secrets.
"""

import sys
from typing import Any

import stamina.instrumentation
import structlog

from plumbing.config import Settings


def configure(settings: Settings) -> None:
    """Set up structlog for this process. Call it once, from a command."""
    stamina.instrumentation.set_on_retry_hooks([])  # retries are told by their outcome
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
