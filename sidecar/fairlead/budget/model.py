"""Names and amounts of budgets. Pure: no I/O, no clock.

Money is integer nano-USD everywhere; only here it gets a decimal point, exactly, with as many digits as it needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.internal.v1 import command_pb2
from fairlead.v1 import amount_pb2, budget_service_pb2

NANO_PER_USD = 1_000_000_000
INT64_MAX = (1 << 63) - 1
# Every tenant, in a `parent`.
ANY_TENANT = "-"
_USD = re.compile(r"([+-]?)\$?([0-9]{1,10})(?:\.([0-9]{1,9}))?")


class InvalidName(ValueError):
    """The text is not the name of a budget instance."""


@dataclass(frozen=True, slots=True, order=True)
class BudgetName:
    """`tenants/{tenant}/budgets/{budget}/instances/{instance}`; tenant and budget are kept as they are called, the
    instance as `scope=value` pairs with percent-encoded values. The order of names is the order of lists."""

    tenant: str
    budget: str
    instance: str

    def __str__(self) -> str:
        return f"tenants/{encoded(self.tenant)}/budgets/{encoded(self.budget)}/instances/{self.instance}"

    @classmethod
    def parse(cls, name: str) -> BudgetName:
        """Reads a name; equal instances that are encoded differently become equal. Raises `InvalidName`."""
        parts = name.split("/")
        if len(parts) != 6 or parts[0::2] != ["tenants", "budgets", "instances"] or not all(parts):
            raise InvalidName("must be tenants/{tenant}/budgets/{budget}/instances/{instance}")
        return cls(unquote(parts[1]), unquote(parts[3]), canonical_instance(parts[5]))

    @classmethod
    def of(cls, view: command_pb2.BudgetView | command_pb2.BudgetKey) -> BudgetName:
        """The name of an instance of the core."""
        return cls(view.tenant, view.budget, view.instance)

    def key(self) -> command_pb2.BudgetKey:
        """As the core names the instance."""
        return command_pb2.BudgetKey(tenant=self.tenant, budget=self.budget, instance=self.instance)


def canonical_instance(instance: str) -> str:
    """The same instance with every value encoded in one way, so that equal instances compare equal."""
    pairs = (pair.partition("=") for pair in instance.split(","))
    return ",".join(f"{scope}{sign}{encoded(unquote(value))}" for scope, sign, value in pairs)


def parse_parent(parent: str) -> str:
    """The tenant of `tenants/{tenant}`, or `-`; raises `InvalidName`."""
    prefix, _, tenant = parent.partition("/")
    if prefix != "tenants" or not tenant or "/" in tenant:
        raise InvalidName("must be tenants/{tenant}, or tenants/- for all")
    return unquote(tenant)


def budget_of(view: command_pb2.BudgetView) -> budget_service_pb2.Budget:
    """An instance of the core as the API gives it."""
    return budget_service_pb2.Budget(
        name=str(BudgetName.of(view)),
        scope=dict(view.scope),
        limit=view.limit,
        spent=view.spent,
        reserved=view.reserved,
        window_start=_timestamp(view.window_start_unix_nanos),
        resets_at=_timestamp(view.resets_at_unix_nanos),
        hard=view.hard,
    )


def format_usd(nano_usd: int) -> str:
    """Money with all the digits it has, at least two after the point: `$2.50`, `-$0.000000001`."""
    whole, fraction = divmod(abs(nano_usd), NANO_PER_USD)
    digits = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano_usd < 0 else ''}${whole:,}.{digits}"


def parse_usd(text: str) -> int:
    """Nano-USD of `2.50`, `$2.50` or `-0.000000001`; raises `ValueError` when it is not exact or too large."""
    match = _USD.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an amount of USD with at most 9 digits after the point")
    sign, whole, fraction = match.groups()
    nano_usd = int(whole) * NANO_PER_USD + int((fraction or "").ljust(9, "0"))
    if nano_usd > INT64_MAX:
        raise ValueError(f"{text!r} is more than {format_usd(INT64_MAX)}")
    return -nano_usd if sign == "-" else nano_usd


def format_amount(amount: amount_pb2.Amount) -> str:
    """An amount in words, without the units that are zero: `$0.0125, 1,700 tokens, 1 request`."""
    parts = []
    if amount.nano_usd:
        parts.append(format_usd(amount.nano_usd))
    if amount.tokens:
        parts.append(count(amount.tokens, "token"))
    if amount.requests:
        parts.append(count(amount.requests, "request"))
    return ", ".join(parts) or "nothing"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 token`, `1,700 tokens`."""
    return f"{number:,} {noun}{'' if abs(number) == 1 else 's'}"


def encoded(text: str) -> str:
    """A part of a name, percent-encoded."""
    return quote(text, safe="")


def _timestamp(unix_nanos: int) -> Timestamp | None:
    if unix_nanos == 0:
        return None
    timestamp = Timestamp()
    timestamp.FromNanoseconds(unix_nanos)
    return timestamp
