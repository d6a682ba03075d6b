"""The alert rules for Prometheus and the dashboard for Grafana that the documentation offers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from jwt_upstream.monitoring.metrics import COUNTERS, GAUGES, HISTOGRAMS, STATES
from tests.support.pages import DOCS


def labels() -> dict[str, set[str]]:
    """Return the labels of each metric, under the names that Prometheus gives it."""
    found = {f"{name}_total": {"upstream", *more} for name, (_, more) in COUNTERS.items()}
    found |= {f"{name}_bucket": {"upstream", "le"} for name in HISTOGRAMS}
    return found | {name: {*all_of_them} for name, (_, all_of_them) in GAUGES.items()}


def rules() -> Iterator[tuple[str, str]]:
    """Yield the expression of each alert rule, and the texts that name its labels."""
    for group in yaml.safe_load((DOCS / "monitoring" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"], " ".join(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))


def panels() -> Iterator[tuple[str, str]]:
    """Yield the expression of each line in the dashboard's panels, and the labels in its legend."""
    dashboard: dict[str, Any] = json.loads((DOCS / "monitoring" / "dashboard.json").read_text())
    (variable,) = (each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query")
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable).groups()  # type: ignore[union-attr]
    yield metric, label
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], " ".join(re.findall(r"{{(\w+)}}", target["legendFormat"]))


@pytest.mark.parametrize(("expression", "told"), [*rules(), *panels()])
def test_what_is_asked_for(expression: str, told: str) -> None:
    """Each metric exists, has the labels by which it is selected, added up and named, and the states exist."""
    known = labels()
    metrics = re.findall(r"\bjwt_upstream_\w+", expression)
    assert metrics
    assert {*metrics} <= {*known}
    selected = re.findall(r'(\w+)\s*(?:=|!=|=~|!~)\s*"([^"]*)"', expression)
    grouped = [name for group in re.findall(r"by \(([^)]*)\)", expression) for name in group.split(", ")]
    named = {*told.split(), *grouped, *(name for name, _ in selected)}
    assert named <= set.intersection(*(known[name] for name in metrics))
    assert {state for name, value in selected if name == "state" for state in value.split("|")} <= {*STATES}


def test_page_lists_all_metrics() -> None:
    """The page on monitoring has each metric in its table, and no other."""
    text = (DOCS / "reference" / "monitoring.rst").read_text()
    assert {*re.findall(r"^``(jwt_upstream_\w+)``", text, re.MULTILINE)} == {*COUNTERS, *HISTOGRAMS, *GAUGES}
