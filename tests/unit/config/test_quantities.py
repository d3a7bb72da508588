"""Money, durations and sizes are exact integers with one spelling."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fairlead.config.quantities import (
    NANO_PER_USD,
    USD_MAX,
    Duration,
    NanoUsd,
    PicoUsdPerToken,
    Size,
    format_duration,
    format_size,
    parse_duration,
)
from tests.unit.config.samples import VALID, load

USD: TypeAdapter[int] = TypeAdapter(NanoUsd)
SIZE: TypeAdapter[int] = TypeAdapter(Annotated[int, Size("0B", "900000GiB")])
DURATION: TypeAdapter[int] = TypeAdapter(Annotated[int, Duration("0s", "999d")])
PRICE: TypeAdapter[int] = TypeAdapter(PicoUsdPerToken)


@pytest.mark.parametrize(
    ("written", "nano"),
    [
        (2, 2_000_000_000),
        (Decimal("2.50"), 2_500_000_000),
        ("2.5", 2_500_000_000),
        (Decimal("0.1"), 100_000_000),
        (Decimal("1e-9"), 1),
        (Decimal("1E+3"), 1_000_000_000_000),
        (Decimal("0.123456789"), 123_456_789),
        (Decimal("999999999.999999999"), 999_999_999_999_999_999),
        (USD_MAX, USD_MAX * NANO_PER_USD),
    ],
)
def test_money_is_read_digit_for_digit(written: Any, nano: int) -> None:
    assert USD.validate_python(written) == nano


@pytest.mark.parametrize(
    "written",
    [
        0.1, True, "", "1,5", "$5", "1e3", " 1", -1, Decimal("-0.5"), Decimal("NaN"), Decimal("Infinity"),
        Decimal("0.0000000001"), Decimal("1e999999999"), USD_MAX + 1, "٣", None, 0,
    ],
)  # fmt: skip
def test_what_is_not_an_exact_amount_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        USD.validate_python(written)


def test_a_price_is_pico_usd_per_token() -> None:
    # 0.15 USD per million tokens = 150,000 pico-USD per token.
    assert PRICE.validate_python(Decimal("0.15")) == 150_000
    assert PRICE.validate_python(Decimal("0.000001")) == 1
    assert PRICE.validate_python(0) == 0
    # As a float 0.07 * 1e6 is 70000.00000000001.
    assert load(VALID.replace("input: 2.50", "input: 0.07")).models[1].price.input == 70_000


@given(st.integers(min_value=1, max_value=USD_MAX * NANO_PER_USD))
def test_money_survives_its_spelling(nano: int) -> None:
    spelled = USD.dump_python(nano, mode="json")
    assert USD.validate_python(spelled) == nano
    assert USD.validate_python(Decimal(spelled)) == nano


@given(st.integers(min_value=0, max_value=10**11))
def test_durations_survive_their_spelling(millis: int) -> None:
    assert parse_duration(format_duration(millis)) == millis


@given(st.integers(min_value=0, max_value=10**14))
def test_sizes_survive_their_spelling(count: int) -> None:
    assert SIZE.validate_python(format_size(count)) == count


def test_one_meaning_has_one_spelling() -> None:
    assert format_duration(parse_duration("60s")) == format_duration(parse_duration("60000ms")) == "1m"
    assert format_duration(parse_duration("72h")) == "3d"
    assert format_duration(parse_duration("90s")) == "90s"
    assert format_duration(0) == "0s"
    assert format_size(8 << 20) == "8MiB" and format_size(1025) == "1025B"


@pytest.mark.parametrize("written", ["5", 5, "5 m", "1.5h", "-1s", "5M", "1w", "", "9999999999999s", None, "1h30m"])
def test_what_is_not_a_duration_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError, match="is not a duration"):
        DURATION.validate_python(written)
