"""Names and amounts of budgets."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.budget.model import (
    INT64_MAX,
    BudgetName,
    InvalidName,
    budget_of,
    canonical_instance,
    encoded,
    format_amount,
    format_usd,
    parse_parent,
    parse_usd,
)
from fairlead.budget.paging import InvalidToken, PageToken, list_digest
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import amount_pb2

words = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())


@pytest.mark.parametrize(
    ("nano_usd", "text"),
    [
        (0, "$0.00"),
        (2_500_000_000, "$2.50"),
        (1, "$0.000000001"),
        (-12_500_000, "-$0.0125"),
        (1_234_567_000_000_000, "$1,234,567.00"),
        (INT64_MAX, "$9,223,372,036.854775807"),
    ],
)
def test_money_has_all_its_digits(nano_usd: int, text: str) -> None:
    assert format_usd(nano_usd) == text
    assert parse_usd(text.replace(",", "")) == nano_usd


@given(st.integers(-INT64_MAX, INT64_MAX))
def test_money_comes_back(nano_usd: int) -> None:
    assert parse_usd(format_usd(nano_usd).replace(",", "")) == nano_usd


@pytest.mark.parametrize("text", ["", "1e3", "0.0000000001", "9223372036.854775808", ".5", "1.", "1,5", "nan", "٣"])
def test_money_is_exact_or_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_usd(text)


def test_amounts_leave_out_what_is_zero() -> None:
    assert format_amount(amount_pb2.Amount()) == "nothing"
    assert format_amount(amount_pb2.Amount(nano_usd=1_000_000_000, tokens=1, requests=2000)) == (
        "$1.00, 1 token, 2,000 requests"
    )


@given(words, words, st.lists(words, min_size=1, max_size=3))
def test_names_come_back_whatever_is_in_them(tenant: str, budget: str, values: list[str]) -> None:
    instance = ",".join(f"label:x{n}={encoded(value)}" for n, value in enumerate(values))
    name = BudgetName(tenant, budget, instance)
    assert BudgetName.parse(str(name)) == name
    assert str(name).count("/") == 5


def test_instances_are_equal_however_they_are_encoded() -> None:
    assert canonical_instance("run=r%2f1,session=a-b") == canonical_instance("run=r%2F1,session=a%2Db")
    assert canonical_instance("-") == "-"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tenants/a",
        "tenants/a/budgets/b/instances/",
        "tenants//budgets/b/instances/-",
        "tenants/a/budgets/b/instances/-/x",
        "teams/a/budgets/b/instances/-",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        BudgetName.parse(name)


def test_parents() -> None:
    assert parse_parent("tenants/-") == "-"
    assert parse_parent("tenants/a%2Fb") == "a/b"
    for wrong in ("", "tenants", "tenants/", "tenants/a/b", "x/a"):
        with pytest.raises(InvalidName):
            parse_parent(wrong)


def test_an_instance_of_the_core_as_the_api_gives_it() -> None:
    budget = budget_of(
        command_pb2.BudgetView(
            budget="run",
            tenant="acme inc",
            instance="run=r%2F1",
            scope={"run": "r/1"},
            limit=amount_pb2.Amount(nano_usd=5),
            spent=amount_pb2.Amount(nano_usd=3),
            resets_at_unix_nanos=1_795_000_000_000_000_001,
            hard=True,
        )
    )
    assert budget.name == "tenants/acme%20inc/budgets/run/instances/run=r%2F1"
    assert budget.resets_at.ToNanoseconds() == 1_795_000_000_000_000_001
    assert not budget.HasField("window_start")
    assert dict(budget.scope) == {"run": "r/1"}


@given(words, words, words)
def test_page_tokens_come_back(tenant: str, budget: str, instance: str) -> None:
    token = PageToken(BudgetName(tenant, budget, instance), list_digest("-", ""))
    assert PageToken.decode(token.encode()) == token


@given(st.text(max_size=40))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidToken):
        assert PageToken.decode(text).encode() == text
