"""How a command treats the embedded server; here, for those who need no such server."""

import enum


class EmbeddedMode(enum.Enum):
    """How a command treats the embedded server."""

    KEEP_RUNNING = "keep it up: start it, and again should it end"
    START_IF_NEEDED = "start it if none listens"
    WAIT = "wait until one listens"
