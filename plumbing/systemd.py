"""Tells systemd how the daemon is: started, alive, reloading, about to end (sd_notify(3)).

One datagram a message, to the Unix socket that `NOTIFY_SOCKET` names; without that variable nothing
is sent. Own code, since the protocol is a line of text and the one library, `sdnotify`, has seen no
release since 2017. What systemd does not take never ends the daemon: systemd itself decides what
follows, a restart after `WatchdogSec` for example.
"""

import asyncio
import os
import socket
import time
from typing import Final, Self

from plumbing import logs
from plumbing.errors import ConfigError

log = logs.logger(__name__)

SEND_SECONDS: Final = 1.0
"""How long a send may wait for room in systemd's queue: the event loop stands still meanwhile."""
MICROSECONDS: Final = 1_000_000


class SystemdNotifier:
    """What the daemon tells systemd, or nobody."""

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        """Send to `address`, a path or `@name` (abstract); ping so that each span has a ping."""
        self._address = address
        self._watchdog_seconds = watchdog_seconds
        self._is_mute = False

    @classmethod
    def from_environment(cls) -> Self:
        """Take NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Raises ConfigError."""
        return cls(os.environ.get("NOTIFY_SOCKET") or None, _watchdog_seconds())

    def ready(self) -> None:
        """Tell that the start, or a reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Tell that the configuration is read anew; `ready` ends it, whatever came of it."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Tell that the daemon is about to end."""
        self._send("STOPPING=1")

    async def watchdog(self) -> None:
        """Ping twice in each span of the watchdog, until cancelled; return if there is none.

        From the event loop, so that a loop that stands still is found.
        """
        if self._address is None or self._watchdog_seconds is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_seconds / 2)

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        try:
            _send(self._address, message)
        except OSError as error:
            if not self._is_mute:
                log.warning("systemd cannot be notified, going on", error=str(error))
            self._is_mute = True
            return
        if self._is_mute:
            log.info("systemd is notified again")
        self._is_mute = False


def _send(address: str, message: str) -> None:
    """Send one datagram. Raises OSError, for an address of another family too."""
    if address[0] not in "/@":
        raise OSError(f"NOTIFY_SOCKET {address!r} is no Unix socket")
    name = f"\0{address[1:]}" if address[0] == "@" else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SEND_SECONDS)
        sender.connect(name)
        sender.sendall(message.encode(errors="backslashreplace"))


def _watchdog_seconds() -> float | None:
    """Return what `WatchdogSec` says if it is meant for this process (sd_watchdog_enabled(3))."""
    span, process = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not span or process not in {None, "", str(os.getpid())}:
        return None
    if not (span.isdecimal() and int(span)):
        raise ConfigError(f"environment: WATCHDOG_USEC {span!r} is no number of microseconds")
    return int(span) / MICROSECONDS
