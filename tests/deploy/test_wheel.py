"""The wheel that goes into the image, built here by the Dockerfile's own command."""

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deploy.files import copied_sources, project, run_commands
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from only the files that the Dockerfile copies, without network."""
    folder = tmp_path_factory.mktemp("build")
    for source in map(Path, copied_sources()):
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, folder / source, ignore=ignored)
        else:
            shutil.copy(ROOT / source, folder / source)
    (build,) = (command for command in run_commands() if command[:2] == ["pip", "wheel"])
    assert {"--no-index", "--no-build-isolation", "--no-deps"} <= set(build)
    subprocess.run(
        [sys.executable, "-m", *build],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    (built,) = (folder / build[build.index("--wheel-dir") + 1]).glob("*.whl")
    return built


def test_it_contains_the_packages(wheel: Path) -> None:
    """It has every module, script, template and style sheet, and no test."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    packages = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    there = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".css", ".html", ".lua", ".py"}
    }
    assert "publisher/state/commit.lua" in inside
    assert inside == there


def test_it_has_both_commands(wheel: Path) -> None:
    """The entry points are those of pyproject.toml."""
    about = project()["project"]
    name = f"{about['name'].replace('-', '_')}-{about['version']}.dist-info/entry_points.txt"
    entry_points = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        entry_points.read_string(archive.read(name).decode())
    assert dict(entry_points["console_scripts"]) == about["scripts"]
    assert about["scripts"].keys() == {"category-publisher", "category-consumer"}
