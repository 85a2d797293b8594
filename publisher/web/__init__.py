"""What `run` serves over HTTP: liveness, readiness, metrics and a page.

Reads the daemon and Redis, never writes. May import everything of publisher but commands, demo and
service.
"""

from publisher.web.metrics import Metrics
from publisher.web.server import http_server

__all__ = ["Metrics", "http_server"]
