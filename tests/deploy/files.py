"""The files under test, parsed: pyproject.toml, Dockerfile, Compose file."""

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
    """One instruction: `COPY --from=x a b` has flags {"from": "x"}, arguments [a, b]."""

    name: str
    flags: dict[str, str]
    arguments: list[str]
    is_exec: bool
    """Whether it is a JSON list, which needs no shell."""


def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")))


def services() -> dict[str, Any]:
    """Return the services of the Compose file by name."""
    return dict(compose()["services"])


def compose() -> dict[str, Any]:
    """Return the Compose file."""
    return dict(yaml.safe_load(COMPOSE_FILE.read_text("utf-8")))


def dockerfile() -> list[Instruction]:
    """Return the Dockerfile's instructions."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [_instruction(line) for line in joined.splitlines() if line.strip()]


def final_stage() -> dict[str, Instruction]:
    """Return the instructions of the last stage by name; of several the last one."""
    instructions = dockerfile()
    start = max(index for index, each in enumerate(instructions) if each.name == "FROM")
    return {each.name: each for each in instructions[start:]}


def run_commands() -> Iterator[list[str]]:
    """Yield each command of the RUN instructions."""
    for instruction in dockerfile():
        if instruction.name == "RUN":
            for is_and, arguments in groupby(instruction.arguments, key="&&".__eq__):
                if not is_and:
                    yield list(arguments)


def copied_sources() -> list[str]:
    """Return the files and folders that are copied from the project's folder."""
    return [
        source
        for each in dockerfile()
        if each.name == "COPY" and "from" not in each.flags
        for source in each.arguments[:-1]
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
