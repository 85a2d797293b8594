"""Fixtures of commands: a publisher, and a folder with its configuration.

The publisher is on a real server.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plumbing.redis.server import Server
from tests.consumers.pretend_publisher import PretendPublisher
from tests.support.valkey import Valkey


@pytest.fixture
async def publisher(real_server: Server) -> AsyncIterator[PretendPublisher]:
    """Yield a publisher of `us` on a real server."""
    async with real_server.client() as client:
        yield PretendPublisher(client)


@pytest.fixture
def cwd(folder: Path, valkey: Valkey) -> Path:
    """Give a folder whose publisher.toml names the server."""
    (folder / "publisher.toml").write_text(f'redis_url = "{valkey.url}"\n')
    return folder
