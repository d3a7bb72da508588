"""Puts the records of one invocation into sentences for people, from the log alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairlead.approval.model import state_name
from fairlead.audit import approval_narrative, sentences, wording
from fairlead.audit.wording import visible
from fairlead.budget.model import count, format_amount
from fairlead.v1 import audit_record_pb2, decision_pb2

ORDER_NOT_TOLD = "Order: it cannot be told, because the first records were trimmed from the log."
_PENDING = audit_record_pb2.EVENT_KIND_INVOCATION_PENDING
_VOTED = audit_record_pb2.EVENT_KIND_APPROVAL_VOTED
_DECISIONS = (audit_record_pb2.EVENT_KIND_INVOCATION_ADMITTED, audit_record_pb2.EVENT_KIND_INVOCATION_REJECTED)


def narrate(
    records: Sequence[audit_record_pb2.AuditRecord], state: audit_record_pb2.InvocationState, *, whole: bool = True
) -> list[str]:
    """The story of an invocation whose records are given in sequence order; not the `whole` when the first ones were
    trimmed from the log."""
    sentences: list[str] = []
    for record in records:
        body = record.WhichOneof("body")
        if body == "decision":
            sentences += _decision(record)
        elif body == "settlement":
            sentences += _settlement(record)
        elif body == "hold_ended":
            sentences += _hold_ended(record)
        elif body == "budget":
            sentences.append(_budget_event(record))
        elif body == "approval":
            sentences.append(approval_narrative.event(record))
    if state == audit_record_pb2.INVOCATION_STATE_PENDING:
        sentences.append("Still waiting for people; the hold stays open until they have decided.")
    if state == audit_record_pb2.INVOCATION_STATE_OPEN:
        sentences.append("The hold is still open: no settlement or release has been recorded.")
    sentences.append(order_of_check(records) if whole else ORDER_NOT_TOLD)
    return sentences


def order_of_check(records: Sequence[audit_record_pb2.AuditRecord]) -> str:
    """Whether the budget was checked before the first attempt, by the order of the records."""
    decision = next((record for record in records if record.kind in _DECISIONS), None)
    asked = next((record for record in records if record.kind == _PENDING), None)
    if decision is None and asked is not None:
        return f"Order: people were asked in record {asked.sequence}; the call has not been admitted."
    if decision is None:
        return "Order: no decision is recorded, so it cannot be shown that a budget was checked."
    place = f"record {decision.sequence}"
    votes = [record.sequence for record in records if record.kind == _VOTED]
    if votes and max(votes) > decision.sequence:
        listed = ", ".join(map(str, votes))
        return f"Order: VIOLATED: the call was admitted in {place}, but votes are in records {listed}."
    snapshots = decision.decision.inputs.budgets
    charges = decision.decision.charges
    attempts = next((record for record in records if record.settlement.attempts), None)
    if decision.kind == audit_record_pb2.EVENT_KIND_INVOCATION_REJECTED:
        checked = f"the budgets were looked at in {place}" if snapshots else "no budget had been looked at"
        checked += ", and the call was refused before any attempt"
    elif decision.decision.cached:
        checked = f"decided in {place}; no provider was asked"
    elif not snapshots and not charges:
        checked = f"no budget applies to this call, as decided in {place} before any attempt"
    else:
        checked = f"the budgets were checked and the hold was recorded in {place}"
        checked += ", before the first attempt" if attempts else "; no attempt has been reported"
    if attempts is None:
        return f"Order: {checked}."
    if attempts.sequence < decision.sequence:
        return f"Order: VIOLATED: attempts are reported in record {attempts.sequence}, before the decision in {place}."
    return f"Order: {checked} (attempts are reported in record {attempts.sequence})."


def _decision(record: audit_record_pb2.AuditRecord) -> Iterable[str]:
    decided = record.decision
    yield _question(record)
    if decided.inputs.HasField("agreed"):
        agreed = decided.inputs.agreed
        said = "; ".join(approval_narrative.vote(vote) for vote in agreed.votes) or "nobody voted"
        yield f"It came back for approval {visible(agreed.approval)}, {state_name(agreed.state)}: {said}."
    yield f"Decided with configuration {wording.version(record.config_version or decided.decision.config_version)}."
    yield sentences.rules(decided.decision)
    for health in decided.inputs.health:
        said = wording.breaker(health.breaker)
        if said:
            until = health.open_until_unix_nanos
            yield f"Health of {visible(health.model)}: {said}{f' until {wording.utc(until)}' if until else ''}."
    for dropped in decided.dropped:
        detail = f" ({visible(dropped.detail)})" if dropped.detail else ""
        yield f"Left out {visible(dropped.model)}: {wording.drop_reason(dropped.reason)}{detail}."
    yield from _untranslatable(decided.inputs)
    if decided.HasField("session_switch"):
        left, reason = decided.session_switch, wording.drop_reason(decided.session_switch.reason)
        detail = f" ({visible(left.detail)})" if left.detail else ""
        yield f"The session left {visible(left.from_model)}, which it was pinned to: {reason}{detail}."
    if decided.downgraded_to:
        yield f"A budget switched the plan to {visible(decided.downgraded_to)}."
    if decided.rejection:
        yield sentences.refused(decided.rejection, decided.rejection_metadata)
    elif decided.cached:
        source = visible(decided.inputs.cached_invocation)
        yield f"Answered from the response cache, with the answer of {source}: nothing was held or charged."
    else:
        yield _plan(decided)
        yield _output_limit(decided)
        over = ", ".join(map(visible, decided.over_budgets))
        if record.kind == _PENDING:
            yield (
                f"Waits for people until {wording.utc(decided.expires_at_unix_nanos)}: approval "
                f"{visible(decided.approval)}, tier {visible(decided.tier)}, for at most "
                f"{format_amount(decided.reserved)}{f', also over the limit of {over}' if over else ''}."
            )
        else:
            consent = f", over the limit of {over} with the consent of people" if over else ""
            yield f"Held {format_amount(decided.reserved)} until {wording.utc(decided.expires_at_unix_nanos)}{consent}."
        if decided.decision.output_rules:
            yield f"Rules that the answer has to pass: {', '.join(map(visible, decided.decision.output_rules))}."
    yield from _budgets(decided)


def _question(record: audit_record_pb2.AuditRecord) -> str:
    inputs = record.decision.inputs
    told = [
        f"{label} {visible(value)}"
        for label, value in (
            ("workload", inputs.workload),
            ("session", inputs.session),
            ("run", inputs.run),
            ("step", inputs.step),
        )
        if value
    ]
    told.append(count(inputs.input_tokens, "input token") if inputs.input_tokens else _bytes(inputs.input_bytes))
    if inputs.max_output_tokens:
        told.append(f"at most {count(inputs.max_output_tokens, 'output token')}")
    if inputs.HasField("min_quality"):
        told.append(f"quality at least {inputs.min_quality:g}")
    if inputs.capabilities:
        told.append(f"needing {', '.join(map(visible, inputs.capabilities))}")
    if inputs.stream:
        told.append("streamed")
    if inputs.dialect:
        told.append(f"in {visible(inputs.dialect)}")
    model = f"model {visible(inputs.model)}" if inputs.model else "a model of the routes' choice"
    return f"{wording.utc(record.time_unix_nanos)}: {sentences.caller(record)} asked for {model} ({', '.join(told)})."


def _untranslatable(inputs: audit_record_pb2.DecisionInputs) -> Iterable[str]:
    """What other dialects cannot say of the request, one sentence for each dialect."""
    dialects: dict[str, list[str]] = {}
    for found in inputs.untranslatable:
        said = f"{visible(found.field)}{' (essential)' if found.essential else ''}"
        dialects.setdefault(visible(found.dialect), []).append(said)
    for dialect, fields in dialects.items():
        yield f"The dialect {dialect} has no place for {', '.join(fields)}."


def _bytes(size: int) -> str:
    return f"{count(size, 'byte')} of input"


def _plan(decided: audit_record_pb2.DecisionRecord) -> str:
    route = decided.decision.route
    said = f"Route {visible(route)}" if route else "No route: the request named a model"
    return f"{said}; plan: {', then '.join(map(_target, decided.plan)) or 'empty'}."


def _target(target: decision_pb2.PlannedTarget) -> str:
    facts = [f"provider {visible(target.provider)}"]
    if target.upstream_model and target.upstream_model != target.model:
        facts.append(f"there called {visible(target.upstream_model)}")
    if target.HasField("timeout"):
        facts.append(f"timeout {wording.duration(target.timeout)}")
    return f"{visible(target.model)} ({', '.join(facts)})"


def _output_limit(decided: audit_record_pb2.DecisionRecord) -> str:
    limit = count(decided.max_output_tokens, "token")
    if not decided.clamped:
        return f"Output limit: {limit}, not clamped."
    asked = decided.inputs.max_output_tokens
    return (
        f"Output limit: clamped to {limit} by a budget or policy (asked for: {f'{asked:,}' if asked else 'the most'})."
    )


def _budgets(decided: audit_record_pb2.DecisionRecord) -> Iterable[str]:
    """One sentence for each budget instance: what it stood at, and what was held in it."""
    held = {(charge.budget, charge.instance): charge.amount for charge in decided.charges}
    for before in decided.inputs.budgets:
        stood = f"{format_amount(before.spent)} spent and {format_amount(before.reserved)} held before"
        amount = held.pop((before.budget, before.instance), None)
        now = f"; held {format_amount(amount)} more" if amount is not None else "; nothing was held"
        yield f"Budget {_instance(before.budget, before.instance)}: {stood}{now}."
    for (budget, instance), amount in held.items():
        yield f"Budget {_instance(budget, instance)}: held {format_amount(amount)}."


def _instance(budget: str, instance: str) -> str:
    return visible(budget) if instance in ("", "-") else f"{visible(budget)} ({visible(instance)})"


def _settlement(record: audit_record_pb2.AuditRecord) -> Iterable[str]:
    settlement = record.settlement
    before: decision_pb2.Attempt | None = None
    for number, attempt in enumerate(settlement.attempts, 1):
        if before is not None:
            yield _transition(number - 1, before, attempt)
        yield _attempt(number, attempt)
        for finding in attempt.findings:
            found = f"{visible(finding.detector)} found {count(finding.count, 'time')}"
            yield f"Output rule {visible(finding.rule)}: {found}; {wording.finding(finding.action)}."
        before = attempt
    late = ", late: the hold had expired, so the charge was corrected" if settlement.late else ""
    answered = f"{visible(settlement.model)} answered" if settlement.model else "no model answered"
    released = settlement.released
    freed = f", {format_amount(released)} held before is free again" if released.ByteSize() else ""
    yield (
        f"{wording.utc(record.time_unix_nanos)}: settled{late}; {answered}; charged "
        f"{format_amount(settlement.charged)}{freed}."
    )
    yield from _charges(settlement.charges)
    if settlement.overdraft:
        yield "Overdraft: the provider reported more than was held; it was charged in full."


def _transition(number: int, before: decision_pb2.Attempt, after: decision_pb2.Attempt) -> str:
    if after.model == before.model:
        return f"Retry: {visible(after.model)} was tried again after attempt {number}."
    return f"Fallback: after attempt {number} at {visible(before.model)}, {visible(after.model)} took over."


def _attempt(number: int, attempt: decision_pb2.Attempt) -> str:
    said = f"Attempt {number}: {visible(attempt.model)} {wording.outcome(attempt.outcome)}"
    if attempt.status_code:
        said += f", status {attempt.status_code}"
    if attempt.HasField("latency"):
        said += f", after {wording.duration(attempt.latency)}"
    if attempt.HasField("retry_after"):
        said += f", asked to wait {wording.duration(attempt.retry_after)}"
    if attempt.detail:
        said += f" ({visible(attempt.detail)})"
    if attempt.dropped_fields:
        said += f", sent without {', '.join(map(visible, attempt.dropped_fields))}"
    return f"{said}; {_usage(attempt)}."


def _usage(attempt: decision_pb2.Attempt) -> str:
    if not attempt.HasField("usage"):
        return "no usage reported"
    usage = attempt.usage
    parts = [f"{usage.input:,} input"]
    parts += [
        f"{number:,} {label}"
        for number, label in (
            (usage.cached_input, "cached input"),
            (usage.cache_write, "cache write"),
            (usage.cache_write_1h, "cache write for an hour"),
            (usage.audio_input, "audio input"),
            (usage.image_input, "image input"),
            (usage.output, "output"),
            (usage.audio_output, "audio output"),
            (usage.reasoning, "reasoning"),
        )
        if number
    ]
    return f"{', '.join(parts)} tokens{', estimated' if usage.estimated else ''}"


def _hold_ended(record: audit_record_pb2.AuditRecord) -> Iterable[str]:
    ended = record.hold_ended
    expired = record.kind == audit_record_pb2.EVENT_KIND_INVOCATION_EXPIRED
    why = f" ({visible(ended.reason)})" if ended.reason else ""
    yield (
        f"{wording.utc(record.time_unix_nanos)}: {'the hold expired' if expired else 'released'}{why}; of "
        f"{format_amount(ended.held)} held, {format_amount(ended.charged)} was charged."
    )
    yield from _charges(ended.charges)


def _charges(charges: Iterable[audit_record_pb2.BudgetCharge]) -> Iterable[str]:
    for charge in charges:
        yield f"Budget {_instance(charge.budget, charge.instance)}: charged {format_amount(charge.amount)}."


def _budget_event(record: audit_record_pb2.AuditRecord) -> str:
    event = record.budget
    name = _instance(event.budget, event.instance)
    stands = f"{format_amount(event.spent)} spent of {format_amount(event.limit)}"
    if record.kind == audit_record_pb2.EVENT_KIND_BUDGET_OVERDRAFT:
        why = f" ({visible(event.reason)})" if event.reason else ""
        return f"Budget {name}: overdrawn by {format_amount(event.amount)}{why}; {stands}."
    if record.kind == audit_record_pb2.EVENT_KIND_BUDGET_ALERT:
        return f"Budget {name}: passed {event.threshold_percent} %; {stands}."
    return f"Budget {name}: adjusted by {format_amount(event.amount)} ({visible(event.reason)}); {stands}."
