"""A folder to run commands in, and the Redis that they use."""

from pathlib import Path

import pytest
import redis

from tests.support.trees import body, tree
from tests.support.valkey import Valkey


@pytest.fixture
def workdir(folder: Path, valkey: Valkey, keys: redis.Redis) -> Path:  # noqa: ARG001  empties it
    """Give a folder that configures catalogs `us` and `uk-en`, both from files."""
    (folder / "publisher.toml").write_text(
        f'redis_url = "{valkey.url}"\n'
        '[catalogs.us]\nsource = "file"\nurl = "us.json"\npoll_every = "100ms"\n'
        '[catalogs.uk-en]\nsource = "file"\nurl = "uk.json"\n'
    )
    content = body(tree(("1", "0", "Home", False), ("2", "1", "Käse & <b>\n", True)))
    (folder / "us.json").write_bytes(content)
    (folder / "uk.json").write_bytes(content)
    return folder
