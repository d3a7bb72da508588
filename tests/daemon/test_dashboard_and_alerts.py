"""The Grafana dashboard and the alert rules in `deploy/`: every expression parses, and every metric, label and value
that they name is on the page of a running sidecar or webhook. tests/telemetry has a real Prometheus try the rules."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import trustme
import yaml

from fairlead.client import Client
from fairlead.injection.certificate import Certificate
from fairlead.injection.settings import Settings
from fairlead.injection.webhook import Webhook
from fairlead.top.metrics import Page, read
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc
from tests.unit.injection.test_webhook import issue

from .calls import Agent, post, refused
from .harness import ROOT, Daemon
from .provider import Provider, routed

RULES = ROOT / "deploy/prometheus/rules.yaml"
DASHBOARD = ROOT / "deploy/grafana/fairlead.json"
# Prometheus adds them to what it scrapes.
ADDED = {"instance", "job"}
# What Grafana puts in before it asks.
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$job": ".*"}
MORE = """\
budgets: [{name: life, scope: [tenant], limit: {usd: 1}, window: lifetime}]
defaults: {tool.call: allow}
notifications: [{name: desk, url: 'http://127.0.0.1:9', format: chat, events: budget.overdraft}]
"""


@dataclass(frozen=True)
class Expression:
    """One expression and the names of labels that are put into a text beside it."""

    place: str
    text: str
    told: frozenset[str]

    @property
    def parsed(self) -> Any:
        text = self.text
        for name, value in VARIABLES.items():
            text = text.replace(name, value)
        return promql.parse(text)


def alerts() -> Iterator[Expression]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            told = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
            yield Expression(rule["alert"], rule["expr"], frozenset(told))


def panels() -> Iterator[Expression]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            told = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            yield Expression(f"{panel['title']} {target['refId']}", target["expr"], frozenset(told))


EVERY = [*alerts(), *panels()]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of a webhook, and of a sidecar that has admitted, refused and called, and that has a receiver and a consumer."""
    directory = tmp_path_factory.mktemp("daemon")
    exporter = f"audit: {{exporters: [{{name: disk, kind: file, path: {directory}/audit.jsonl}}]}}\n"
    with Provider() as first, Provider() as second:
        with Daemon(directory, routed(first.url, second.url, MORE + exporter)) as daemon:
            body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
            assert post(daemon, body)[0] == 200
            assert post(daemon, body, token="nobody")[0] == 401
            agent = Agent(daemon)
            agent.admit("r-1", model="chat")
            refused(lambda: agent.admit("r-2", model="large", max_output_tokens=1000, input_tokens=10_000_000))
            with Client(daemon.endpoints()["agent"], token="bot-token-0001") as client:
                client.authorize_tool("web.fetch", {})
            collector: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
            watched = collector.WatchEvents(audit_service_pb2.WatchEventsRequest(subscriber="siem"))
            watched.initial_metadata()
            text = scraped(daemon.endpoints()["health"]).decode()
            watched.cancel()
    return read(text + webhook_page(directory))


def webhook_page(directory: Path) -> str:
    """Of a webhook that runs."""

    async def run() -> str:
        webhook = Webhook(Settings(image="fairlead:1"), Certificate(*issue(trustme.CA(), directory)))
        port = await webhook.start_health("127.0.0.1", 0)
        try:
            return (await asyncio.to_thread(scraped, f"127.0.0.1:{port}")).decode()
        finally:
            await webhook.stop(0)

    return asyncio.run(run())


def scraped(endpoint: str) -> bytes:
    with urllib.request.urlopen(f"http://{endpoint}/metrics", timeout=30) as response:
        return bytes(response.read())


def parts(node: Any) -> Iterator[Any]:
    """The node and everything in it."""
    yield node
    inside = {
        promql.AggregateExpr: ("expr",),
        promql.BinaryExpr: ("lhs", "rhs"),
        promql.ParenExpr: ("expr",),
        promql.UnaryExpr: ("expr",),
        promql.SubqueryExpr: ("expr",),
        promql.MatrixSelector: ("vector_selector",),
    }
    for name in inside.get(type(node), ()):
        yield from parts(getattr(node, name))
    for argument in node.args if isinstance(node, promql.Call) else ():
        yield from parts(argument)


def selectors(node: Any) -> list[Any]:
    return [part for part in parts(node) if isinstance(part, promql.VectorSelector)]


def labels_of(page: Page, metric: str) -> set[str]:
    return {label for labels, _ in page.of(metric) for label in labels} | ADDED


def kept(page: Page, node: Any) -> set[str]:
    """Labels that the samples of a result have."""
    if isinstance(node, promql.AggregateExpr):
        modifier = node.modifier
        if modifier is None:
            return set()
        assert modifier.type == promql.AggModifierType.By, "write `by`: what is left over is then in the text"
        return set(modifier.labels)
    if isinstance(node, promql.Call):
        return kept(page, node.args[-1])
    if isinstance(node, promql.BinaryExpr):
        return kept(page, node.lhs)
    if isinstance(node, promql.ParenExpr):
        return kept(page, node.expr)
    (selector,) = selectors(node)
    return labels_of(page, selector.name)


@pytest.mark.parametrize("expression", EVERY, ids=lambda expression: expression.place)
def test_every_name_of_an_expression_is_on_the_page(expression: Expression, page: Page) -> None:
    parsed = expression.parsed
    assert selectors(parsed)
    for selector in selectors(parsed):
        assert list(page.of(selector.name)), f"{selector.name} is not on the page"
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels_of(page, selector.name), f"{selector.name} has no label {matcher.name}"
            if matcher.op == promql.MatchOp.Equal:
                assert list(page.of(selector.name, **{matcher.name: matcher.value})), matcher.value
    for part in parts(parsed):
        if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
            assert set(part.modifier.labels) <= kept(page, part.expr) | {"le"}, part.prettify()
    assert expression.told <= kept(page, parsed), "the text names a label that the result does not have"


def test_a_name_that_is_not_there_is_found(page: Page) -> None:
    """The test above would see it."""
    for wrong in (
        "fairlead_decision_total",
        'fairlead_decisions_total{result="x"}',
        "sum by (agent) (fairlead_sessions)",
    ):
        with pytest.raises(AssertionError):
            test_every_name_of_an_expression_is_on_the_page(Expression("wrong", wrong, frozenset()), page)
    with pytest.raises(ValueError):
        Expression("wrong", "sum by (", frozenset()).parsed  # noqa: B018


def test_everything_on_the_page_is_on_the_dashboard_or_in_a_rule(page: Page) -> None:
    used = {selector.name for expression in EVERY for selector in selectors(expression.parsed)}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    there = {re.sub(r"_(bucket|sum|count)$", "", name) for name in page.samples}
    assert there and there <= shown, there - shown


def test_alerts_and_panels_are_told_apart_and_say_what_to_do() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names) > 10
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    dashboard = json.loads(DASHBOARD.read_text())
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    asked = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {name.strip("$") for name in VARIABLES if "__" not in name} <= asked
    assert Path(DASHBOARD).read_text().isascii()
