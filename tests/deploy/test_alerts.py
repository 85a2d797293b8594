"""The alert rules: when each fires, its runbook, its metrics."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

RULES = ROOT / "deploy" / "alerts.yml"
RUNBOOKS = ROOT / "docs" / "alerts.md"
METRICS = ROOT / "docs" / "metrics.md"
WITHIN = "2h"

Series = dict[str, str]
"""Values per minute, as promtool writes them, by metric and labels: ours, or Prometheus' `up`."""

UP = {"build_info": "1x120"}
TOKEN = 'token_expiry_timestamp_seconds{place="p",token='
LAG = '{catalog="us",consumer="mirror"}'
OTHER = '{catalog="us",consumer="tail"}'
POLLED = 'poll_interval_seconds{catalog="us"}'

CASES: dict[str, tuple[list[Series], list[Series]]] = {
    "Absent": ([{"build_info": "1x60 _x60"}, {}], [UP]),
    "Down": (
        [{'up{job="category-publisher",instance="a"}': "1x60 0x60", 'up{job="category-publisher",instance="b"}': "1x120"}],
        [{'up{job="category-publisher"}': "1x120"}, {'up{job="another"}': "0x120"}],
    ),
    "RedisDown": ([{"redis_up": "1x60 0x60"}], [{"redis_up": "1x120"}]),
    "RedisRefuses": ([{'redis_errors_total{kind="oom"}': "0+1x120"}, {'redis_errors_total{kind="wrongtype"}': "0x9 1x59 2x60"}], [{'redis_errors_total{kind="oom"}': "0 1x119"}, {'redis_errors_total{kind="oom"}': "7x120"}]),
    "NotReady": ([{"ready": "0x120"}], [{"ready": "1x120"}]),
    "LeasesMissing": (
        [{"catalogs": "9x120", "leases": "8x120"}],
        [{"catalogs": "9x120", "leases": "9x120"}, {'catalogs{instance="a"}': "9x120", 'catalogs{instance="b"}': "9x120", 'leases{instance="a"}': "4x120", 'leases{instance="b"}': "5x120"}],
    ),
    "PollsLate": ([{"late_polls": "2x120"}], [{"late_polls": "0x120"}]),
    "PollOverdue": ([{'next_poll_seconds{catalog="us"}': "600-60x120"}], [{'next_poll_seconds{catalog="us"}': "-200x120"}]),
    "SnapshotOld": (
        [{'snapshot_age_seconds{catalog="us"}': "6000+60x120", POLLED: "3600x120"}],
        [{'snapshot_age_seconds{catalog="us"}': "10000x120", POLLED: "3600x120"}],
    ),
    "PollsFail": ([{'last_poll_failed{catalog="us"}': "1x120"}], [{'last_poll_failed{catalog="us"}': "0x60 1x60"}]),
    "Hold": ([{'hold{catalog="us"}': "1x120"}], [{'hold{catalog="us"}': "0x120"}]),
    "ConsumerBehind": (
        [{f"consumer_lag_seconds{LAG}": "60+60x120", f"consumer_lag_events{LAG}": "3x120"}],
        [{f"consumer_lag_seconds{LAG}": "60x120", f"consumer_lag_events{LAG}": "3x120"}, {f"consumer_lag_seconds{LAG}": "0x120", f"consumer_lag_events{LAG}": "0x120"}],
    ),
    "ConsumerUnknown": (
        [{f"consumer_lag_seconds{LAG}": "0x120", f"consumer_lag_seconds{OTHER}": "0x120", f"consumer_lag_events{OTHER}": "0x120"}],
        [{f"consumer_lag_seconds{LAG}": "0x120", f"consumer_lag_events{LAG}": "0x120"}],
    ),
    "TokenExpires": ([{f'{TOKEN}"access"}}': "45000x120"}], [{f'{TOKEN}"access"}}': "52000x120"}, {f'{TOKEN}"access"}}': "45000x10 _x110"}]),
    "StandIn": ([{'stand_in{catalog="us"}': "0x60 1x60"}], [{'stand_in{catalog="us"}': "0x120"}]),
    "AuthorizationExpires": ([{f'{TOKEN}"refresh"}}': "1000000x120"}], [{f'{TOKEN}"refresh"}}': "2000000x120"}]),
}  # fmt: skip
"""For each alert: series that make it fire by the end, and series that do not. Time starts at 0."""


def rules() -> dict[str, Any]:
    """Return the rules by their names."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def promtool(*arguments: str | Path) -> str:
    """Return the output of promtool, which must succeed; skip the test without it."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: install the system package prometheus")
    done = subprocess.run(
        ["promtool", *arguments],  # noqa: S607  found in PATH
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_files_are_valid() -> None:
    """Promtool accepts the rules and the configuration."""
    assert f"{len(rules())} rules found" in promtool("check", "rules", RULES)
    promtool("check", "config", RULES.with_name("prometheus.yml"))


def test_each_fires_when_it_should(folder: Path) -> None:
    """Each series of CASES makes its alert fire, or does not."""
    tests = [
        _test(alert, series, fires=fires)
        for alert, cases in CASES.items()
        for fires, some in zip((True, False), cases, strict=True)
        for series in some
    ]
    file = folder / "cases.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", file)


def _test(alert: str, series: Series, *, fires: bool) -> dict[str, Any]:
    firing = f'ALERTS{{alertname="CategoryPublisher{alert}",alertstate="firing"}}'
    wanted = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "interval": "1m",
        "input_series": [
            {
                "series": name if name.startswith("up{") else f"category_publisher_{name}",
                "values": values,
            }
            for name, values in series.items()
        ],
        "promql_expr_test": [
            {"expr": f"count({firing})", "eval_time": WITHIN, "exp_samples": wanted}
        ],
    }


def test_each_is_tested_and_has_a_runbook() -> None:
    """The names in CASES, in docs/alerts.md and in the rules are the same."""
    runbooks = re.findall(r"^### (\w+)$", RUNBOOKS.read_text(), re.MULTILINE)
    assert (
        sorted(runbooks) == sorted(rules()) == sorted(f"CategoryPublisher{name}" for name in CASES)
    )


@pytest.mark.parametrize("alert", rules())
def test_each_has_severity_texts_and_runbook(alert: str) -> None:
    """The labels and annotations are complete."""
    rule = rules()[alert]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert annotations["runbook_url"] == f"docs/alerts.md#{alert.lower()}"


def test_they_use_metrics_that_exist() -> None:
    """All are in docs/metrics.md, which another test compares with /metrics."""
    known = set(re.findall(r"^\| `(category_publisher_\w+)`", METRICS.read_text(), re.MULTILINE))
    for name, rule in rules().items():
        used = set(re.findall(r"category_publisher_\w+", rule["expr"]))
        assert bool(used) == (name != "CategoryPublisherDown"), name  # that one uses `up`
        assert used <= known


def test_the_links_of_the_runbooks_work() -> None:
    """Each alert that a runbook links to exists."""
    text = RUNBOOKS.read_text()
    links = re.findall(r"\[(\w+)\]\(#(\w+)\)", text)
    assert links
    for name, anchor in links:
        assert name in rules()
        assert anchor == name.lower()
