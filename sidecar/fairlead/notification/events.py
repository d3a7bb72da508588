"""What can be notified of: names of events, and which of them a receiver selects. Pure.

An event is a kind of audit record. Its name is that of the kind with dots, `EVENT_KIND_APPROVAL_VOTED` is
`approval.voted`, so that a new kind needs no code here. One event has two kinds: people are asked for a tool call by
TOOL_PENDING and for anything else by APPROVAL_OPENED; both are `approval.opened`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from types import MappingProxyType

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from fairlead.v1 import audit_record_pb2

_PREFIX = "EVENT_KIND_"
_NAMED: Mapping[str, str] = {"TOOL_PENDING": "approval.opened"}
# What the outbox itself records: a receiver that is told of it could be told of that for ever.
_OWN = "notification."


LINK_PLACEHOLDERS = ("approval", "event", "invocation", "run", "sequence", "step", "tenant")
"""What a receiver's link may name."""


@lru_cache(256)
def event_name(kind: int) -> str:
    """Name of a kind of record; of one that this version does not know, `kind.` and its number."""
    value = audit_record_pb2.EventKind.DESCRIPTOR.values_by_number.get(kind)
    if value is None:
        return f"kind.{kind}"
    word = value.name.removeprefix(_PREFIX)
    return _NAMED.get(word) or word.lower().replace("_", ".")


def _kinds() -> Mapping[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for kind in audit_record_pb2.EventKind.values():
        if kind:
            found.setdefault(event_name(kind), set()).add(kind)
    return MappingProxyType({name: frozenset(kinds) for name, kinds in sorted(found.items())})


KINDS = _kinds()
"""Every event of this version and the kinds of records that it stands for."""


def kinds_of(pattern: str) -> frozenset[int]:
    """The kinds that an event's name, or a beginning of names with a `*` behind it, stands for; may be empty."""
    if not pattern.endswith("*"):
        return KINDS.get(pattern, frozenset())
    stem = pattern[:-1]
    return frozenset(kind for name, kinds in KINDS.items() if name.startswith(stem) for kind in kinds)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record is about; empty where it does not say."""

    tenant: str = ""
    agent: str = ""
    operator: str = ""
    invocation: str = ""
    approval: str = ""
    tool: str = ""
    tier: str = ""
    rule: str = ""
    workflow: str = ""
    run: str = ""
    step: str = ""
    state: str = ""
    reason: str = ""

    def all(self) -> dict[str, str]:
        """Every fact by its name, also those that are empty."""
        return {name: getattr(self, name) for name in _FACTS}


_FACTS = tuple(field.name for field in fields(Facts))

# The record's own fields; the others are looked for in its body, and there in what a decision used.
_OF_THE_RECORD = ("tenant", "agent", "operator", "invocation")
_OF_THE_BODY = tuple(name for name in _FACTS if name not in _OF_THE_RECORD)


def body_of(record: audit_record_pb2.AuditRecord) -> Message | None:
    """What happened; None when the record does not say, or in a way that this version does not know."""
    name = record.WhichOneof("body")
    return None if name is None else getattr(record, name)


def facts_of(record: audit_record_pb2.AuditRecord) -> Facts:
    """The facts of a record of any kind: its fields are found by their names."""
    body = body_of(record)
    found = {name: getattr(record, name) for name in _OF_THE_RECORD}
    if body is not None:
        _tell(body, found)
        inputs = _inputs_field(body.DESCRIPTOR)
        if inputs is not None:
            _tell(getattr(body, inputs), found)
    return Facts(**found)


def is_own(record: audit_record_pb2.AuditRecord) -> bool:
    """True for what the outbox itself has recorded."""
    return record.control_changed.subject.startswith(_OWN)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a receiver wants: kinds of records, and patterns that a fact has to fit; no patterns fit everything."""

    kinds: frozenset[int]
    match: Mapping[str, Sequence[str]]

    def takes(self, record: audit_record_pb2.AuditRecord, facts: Facts) -> bool:
        """True when a record is to be told of."""
        return (
            record.kind in self.kinds
            and not is_own(record)
            and all(_fits(patterns, getattr(facts, name)) for name, patterns in self.match.items())
        )


def _fits(patterns: Iterable[str], value: str) -> bool:
    given = tuple(patterns)
    if not given:
        return True
    return bool(value) and any(
        value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern for pattern in given
    )


def _tell(place: Message, found: dict[str, str]) -> None:
    """Adds the facts that a message has and that nothing before it had."""
    for name, words in _facts_in(place.DESCRIPTOR):
        if name not in found:
            value = getattr(place, name)
            word = value if words is None else words.get(value, "")
            if word:
                found[name] = word


@cache
def _facts_in(descriptor: Descriptor) -> tuple[tuple[str, Mapping[int, str] | None], ...]:
    """The facts that messages of a type may have: fields that are texts, and enums with the word of each value, such as
    `failed` of RUN_STATE_FAILED."""
    found: list[tuple[str, Mapping[int, str] | None]] = []
    for name in _OF_THE_BODY:
        field = descriptor.fields_by_name.get(name)
        if field is None or field.is_repeated:
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            found.append((name, None))
        elif field.enum_type is not None:
            # Without the enum's name in front; nothing for UNSPECIFIED and for what this version does not know.
            values = field.enum_type.values_by_number
            prefix = values[0].name.removesuffix("UNSPECIFIED")
            words = {number: one.name.removeprefix(prefix).lower() for number, one in values.items() if number}
            found.append((name, words))
    return tuple(found)


@cache
def _inputs_field(descriptor: Descriptor) -> str | None:
    """Where messages of a type have what a decision used; None when they have nothing of that kind."""
    field = descriptor.fields_by_name.get("inputs")
    return None if field is None or field.message_type is None or field.is_repeated else field.name
