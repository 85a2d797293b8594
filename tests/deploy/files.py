"""What the tests look at: pyproject.toml, the Dockerfile, the Compose file with its merges."""

import json
import shlex
import tomllib
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import yaml

from tests.support.paths import ROOT

COMPOSE_FILE = ROOT / "docker-compose.yml"


class Instruction(NamedTuple):
    """One instruction: `COPY --from=build a b` has flags {"from": "build"} and words [a, b]."""

    name: str
    flags: dict[str, str]
    words: list[str]
    is_exec: bool
    """Whether it is written as a JSON list, which needs no shell."""


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")))


def services() -> dict[str, Any]:
    return dict(compose()["services"])


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE_FILE.read_text("utf-8")))


def dockerfile() -> list[Instruction]:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [_instruction(line) for line in whole.splitlines() if line.strip()]


def final_stage() -> dict[str, Instruction]:
    """Return the last of each instruction of the last stage, by name."""
    found = dockerfile()
    begin = max(index for index, each in enumerate(found) if each.name == "FROM")
    return {each.name: each for each in found[begin:]}


def commands() -> Iterator[list[str]]:
    """Yield each command that a RUN runs."""
    for instruction in dockerfile():
        if instruction.name == "RUN":
            for is_and, words in groupby(instruction.words, key="&&".__eq__):
                if not is_and:
                    yield list(words)


def copied() -> list[str]:
    """Return what is copied from the folder of the project."""
    return [
        source
        for each in dockerfile()
        if each.name == "COPY" and "from" not in each.flags
        for source in each.words[:-1]
    ]


def _instruction(line: str) -> Instruction:
    name, _, rest = line.strip().partition(" ")
    flags = {}
    while (rest := rest.strip()).startswith("--"):
        flag, _, rest = rest.partition(" ")
        key, _, value = flag[2:].partition("=")
        flags[key] = value
    is_exec = rest.startswith("[")
    return Instruction(name, flags, json.loads(rest) if is_exec else shlex.split(rest), is_exec)
