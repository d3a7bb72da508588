"""Approval tiers that nobody could ever satisfy: they would turn "ask first" into "never" without saying so.

A vote counts for one role, as in native/plan/src/tool/approval.rs: who has two takes one place, the one that helps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.config.paths import select
from fairlead.config.sections.approvals import PEOPLE_MAX
from fairlead.config.violation import Path


def check(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every quorum that the operators' roles cannot meet, as (path, message)."""
    people = [
        frozenset(role for role in roles if isinstance(role, str))
        for _, roles in select(document, "operators[*].roles")
        if isinstance(roles, list)
    ]
    for path, tier in select(document, "approvals.tiers[*]"):
        name = repr(tier["name"]) if isinstance(tier, dict) and isinstance(tier.get("name"), str) else "this tier"
        quorums = list(_quorums(tier))
        lonely = [(below, role, count) for below, role, count in quorums if _having(role, people) < count]
        for below, role, count in lonely:
            yield (*path, *below), f"{name} can never be approved: {_unmet(role, count, _having(role, people))}"
        places = [role for _, role, count in quorums for _ in range(count)]
        if not lonely and len(places) <= PEOPLE_MAX and (found := _seated(places, people)) < len(places):
            wanted = f"needs {len(places)} different people, and the operators' roles give {found}"
            yield (*path, "require"), f"{name} can never be approved: it {wanted}, since everybody counts for one role"


def _quorums(tier: Any) -> Iterator[tuple[Path, str, int]]:
    """The well-formed quorums of a tier: path below it, role and count."""
    for below, quorum in select(tier, "require[*]"):
        if isinstance(quorum, dict) and isinstance(role := quorum.get("role"), str):
            count = quorum.get("count", 1)
            if type(count) is int and count > 0:
                yield below, role, count


def _having(role: str, people: list[frozenset[str]]) -> int:
    return sum(role in roles for roles in people)


def _seated(places: list[str], people: list[frozenset[str]]) -> int:
    """How many places can be taken at once: a bipartite matching by augmenting paths (Kuhn)."""
    place_of: dict[int, int] = {}

    def seat(place: int, asked: set[int]) -> bool:
        for person, roles in enumerate(people):
            if places[place] in roles and person not in asked:
                asked.add(person)
                if person not in place_of or seat(place_of[person], asked):
                    place_of[person] = place
                    return True
        return False

    return sum(seat(place, set()) for place in range(len(places)))


def _unmet(role: str, wanted: int, found: int) -> str:
    who = f"{wanted} operators have the role {role!r}" if wanted > 1 else f"an operator has the role {role!r}"
    counted = {0: "none has", 1: "one has"}.get(found, f"{found} have")
    return f"it needs that {who}, and {counted}"
