"""The running embedded servers of a folder, as processes."""

from pathlib import Path

import psutil


def embedded_servers(folder: Path) -> list[psutil.Process]:
    """Return the running servers of `folder` that this process started.

    Servers that one of its children started are included.
    """
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and str(folder) in " ".join(child.cmdline())
    ]
