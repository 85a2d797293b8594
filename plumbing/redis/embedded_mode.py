"""How a command treats the embedded server; here, for those who need no such server."""

import enum


class Stay(enum.Enum):
    """How a command treats the embedded server."""

    KEEP = "keep it up: start it, and again should it end"
    BORROW = "start it if none listens"
    WAIT = "wait until one listens"
