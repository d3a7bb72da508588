"""Approval tiers that nobody could ever satisfy: they would turn "ask first" into "never" without saying so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from fairlead.config.paths import select
from fairlead.config.violation import Path


def check(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every quorum that the operators' roles cannot meet, as (path, message)."""
    people = Counter(
        role
        for _, roles in select(document, "operators[*].roles")
        if isinstance(roles, list)
        for role in {role for role in roles if isinstance(role, str)}
    )
    for path, tier in select(document, "approvals.tiers[*]"):
        for below, quorum in select(tier, "require[*]"):
            role, wanted = (quorum.get("role"), quorum.get("count", 1)) if isinstance(quorum, dict) else (None, None)
            if isinstance(role, str) and type(wanted) is int and people[role] < wanted:
                yield (*path, *below), _unmet(tier.get("name"), role, wanted, people[role])


def _unmet(tier: Any, role: str, wanted: int, found: int) -> str:
    who = f"{wanted} operators have the role {role!r}" if wanted > 1 else f"an operator has the role {role!r}"
    counted = {0: "none has", 1: "one has"}.get(found, f"{found} have")
    name = repr(tier) if isinstance(tier, str) else "this tier"
    return f"{name} can never be approved: it needs that {who}, and {counted}"
