"""What `run` tells over HTTP: is it alive, is it ready, metrics, and a page for people."""

from publisher.web.metrics import Metrics
from publisher.web.server import http_server

__all__ = ["Metrics", "http_server"]
