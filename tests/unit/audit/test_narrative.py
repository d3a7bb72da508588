"""What people are told about an invocation."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from fairlead.audit.narrative import narrate, order_of_check
from fairlead.audit.summary import kind_name, kind_names, kind_of, summarize, who
from fairlead.audit.wording import MAX_VALUE_CHARS, visible
from fairlead.v1 import approval_service_pb2, audit_record_pb2, decision_pb2
from tests.unit.audit.records import INVOCATION, T0, admitted, record, settled, started, usd

OPEN = audit_record_pb2.INVOCATION_STATE_OPEN
SETTLED = audit_record_pb2.INVOCATION_STATE_SETTLED
REJECTED = audit_record_pb2.INVOCATION_STATE_REJECTED


def test_a_call_with_fallback_clamp_and_two_budgets() -> None:
    assert narrate([admitted(2), settled(5)], SETTLED) == [
        "2026-11-18 11:06:42.000 UTC: agent support-bot of tenant acme asked for model chat (workload classification, "
        "run r-1, 1,200 bytes of input, at most 1,000 output tokens, streamed).",
        "Decided with configuration 3fa2b1c09d1e.",
        "Policy rules that matched: cheap-only, cap-output; cap-output decided. Outcome: allowed with at most 640 "
        "output tokens.",
        "Left out llama-local: it is not healthy or asked to wait (breaker closes in 4 s).",
        "Route classification; plan: gpt-4o-mini (provider openai, timeout 30 s), then claude-sonnet (provider "
        "anthropic, there called claude-sonnet-4-5).",
        "Output limit: clamped to 640 tokens by a budget or policy (asked for: 1,000).",
        "Held $0.0125, 1,840 tokens until 2026-11-18 11:16:40.000 UTC.",
        "Budget run (run=r-1): $0.50 spent and $0.25 held before; held $0.0125, 1,840 tokens more.",
        "Budget tenant-month: $12.00 spent and nothing held before; held $0.0125, 1,840 tokens more.",
        "Attempt 1: gpt-4o-mini answered with an error, status 429, after 120 ms, asked to wait 20 s (rate limited by "
        "the provider); no usage reported.",
        "Fallback: after attempt 1 at gpt-4o-mini, claude-sonnet took over.",
        "Attempt 2: claude-sonnet answered completely, status 200, after 1.25 s; 300 input, 120 output tokens.",
        "2026-11-18 11:06:45.000 UTC: settled; claude-sonnet answered; charged $0.0027, 420 tokens, $0.0098, 1,420 "
        "tokens held before is free again.",
        "Budget run (run=r-1): charged $0.0027, 420 tokens.",
        "Order: the budgets were checked and the hold was recorded in record 2, before the first attempt (attempts are "
        "reported in record 5).",
    ]


def test_a_refused_call() -> None:
    refused = admitted(7)
    refused.kind = audit_record_pb2.EVENT_KIND_INVOCATION_REJECTED
    decided = refused.decision
    decided.rejection = "BUDGET_EXHAUSTED"
    decided.rejection_metadata.update({"limit": "2500000000", "budget": "run"})
    for field in ("plan", "reserved", "charges", "clamped", "max_output_tokens", "expires_at_unix_nanos"):
        decided.ClearField(field)
    decided.dropped[0].reason = decision_pb2.DROP_REASON_BUDGET
    decided.dropped[0].detail = ""
    told = narrate([refused], REJECTED)
    assert told[3:] == [
        "Left out llama-local: it does not fit a budget, even when clamped.",
        "Refused: BUDGET_EXHAUSTED (budget=run, limit=2500000000).",
        "Budget run (run=r-1): $0.50 spent and $0.25 held before; nothing was held.",
        "Budget tenant-month: $12.00 spent and nothing held before; nothing was held.",
        "Order: the budgets were looked at in record 7, and the call was refused before any attempt.",
    ]


def test_a_call_that_people_agreed_to() -> None:
    def vote(sequence: int) -> audit_record_pb2.AuditRecord:
        said = approval_service_pb2.ApprovalVote(
            operator="asha", roles=["finance"], decision=approval_service_pb2.APPROVAL_DECISION_APPROVE, reason="once"
        )
        event = audit_record_pb2.ApprovalEvent(approval="approvals/apr_1", vote=said)
        return record(sequence, "APPROVAL_VOTED", tenant="acme", operator="asha", approval=event)

    asked = admitted(2, approval="approvals/apr_1", tier="high", over_budgets=["run/instances/run=r-1"])
    asked.kind = audit_record_pb2.EVENT_KIND_INVOCATION_PENDING
    told = narrate([asked], audit_record_pb2.INVOCATION_STATE_PENDING)
    assert (
        "Waits for people until 2026-11-18 11:16:40.000 UTC: approval approvals/apr_1, tier high, for at most "
        "$0.0125, 1,840 tokens, also over the limit of run/instances/run=r-1." in told
    )
    assert told[-2:] == [
        "Still waiting for people; the hold stays open until they have decided.",
        "Order: people were asked in record 2; the call has not been admitted.",
    ]
    assert summarize(asked) == "classification: waits for high, holds $0.0125"
    agreed = admitted(4, over_budgets=["run/instances/run=r-1"])
    agreed.decision.inputs.agreed.approval = "approvals/apr_1"
    agreed.decision.inputs.agreed.state = approval_service_pb2.APPROVAL_STATE_APPROVED
    agreed.decision.inputs.agreed.votes.add().CopyFrom(vote(3).approval.vote)
    told = narrate([asked, vote(3), agreed], audit_record_pb2.INVOCATION_STATE_OPEN)
    assert "2026-11-18 11:06:43.000 UTC: asha (finance) approved approvals/apr_1: once." in told
    assert "It came back for approval approvals/apr_1, approved: asha (finance) approved." in told
    assert (
        "Held $0.0125, 1,840 tokens until 2026-11-18 11:16:40.000 UTC, over the limit of run/instances/run=r-1 with "
        "the consent of people." in told
    )
    late = narrate([asked, agreed, vote(5)], audit_record_pb2.INVOCATION_STATE_OPEN)
    assert late[-1] == "Order: VIOLATED: the call was admitted in record 4, but votes are in records 5."


def test_an_open_hold_says_so() -> None:
    told = narrate([admitted(2)], OPEN)
    assert told[-2:] == [
        "The hold is still open: no settlement or release has been recorded.",
        "Order: the budgets were checked and the hold was recorded in record 2; no attempt has been reported.",
    ]


def test_no_rule_no_route_no_budget_no_clamp_and_a_downgrade() -> None:
    plain = admitted(
        2,
        inputs=audit_record_pb2.DecisionInputs(input_tokens=1, min_quality=0.85, capabilities=["tools", "json"]),
        decision=decision_pb2.Decision(),
        dropped=[],
        charges=[],
        clamped=False,
        downgraded_to="gpt-4o-mini",
    )
    told = narrate([plain, settled(3, charges=[])], SETTLED)
    assert told[0].endswith(
        "asked for a model of the routes' choice (1 input token, quality at least 0.85, needing tools, json)."
    )
    assert told[2:4] == [
        "No policy rule matched; the default counts.",
        "A budget switched the plan to gpt-4o-mini.",
    ]
    assert told[4].startswith("No route: the request named a model; plan: gpt-4o-mini")
    assert told[5] == "Output limit: 640 tokens, not clamped."
    assert told[-1] == (
        "Order: no budget applies to this call, as decided in record 2 before any attempt (attempts are reported in "
        "record 3)."
    )


def test_expiry_then_a_late_settlement_with_overdraft_and_alert() -> None:
    ended = record(
        9,
        "INVOCATION_EXPIRED",
        tenant="acme",
        invocation=INVOCATION,
        hold_ended=audit_record_pb2.HoldEnded(held=usd(0.0125), charged=usd(0.0125), reason="onExpiry: charge"),
    )
    over = record(
        11,
        "BUDGET_OVERDRAFT",
        budget=audit_record_pb2.BudgetEvent(
            budget="run", instance="run=r-1", limit=usd(2.5), spent=usd(2.500000001), amount=usd(0.000000001)
        ),
    )
    alert = record(
        12,
        "BUDGET_ALERT",
        budget=audit_record_pb2.BudgetEvent(
            budget="tenant-month", instance="-", limit=usd(500), spent=usd(400), threshold_percent=80
        ),
    )
    told = narrate(
        [admitted(2), ended, settled(10, late=True, overdraft=True, attempts=[], model=""), over, alert], SETTLED
    )
    assert told[9:] == [
        "2026-11-18 11:06:49.000 UTC: the hold expired (onExpiry: charge); of $0.0125 held, $0.0125 was charged.",
        "2026-11-18 11:06:50.000 UTC: settled, late: the hold had expired, so the charge was corrected; no model "
        "answered; charged $0.0027, 420 tokens, $0.0098, 1,420 tokens held before is free again.",
        "Budget run (run=r-1): charged $0.0027, 420 tokens.",
        "Overdraft: the provider reported more than was held; it was charged in full.",
        "Budget run (run=r-1): overdrawn by $0.000000001; $2.500000001 spent of $2.50.",
        "Budget tenant-month: passed 80 %; $400.00 spent of $500.00.",
        "Order: the budgets were checked and the hold was recorded in record 2; no attempt has been reported.",
    ]


def test_a_retry_is_not_called_a_fallback() -> None:
    attempt = decision_pb2.Attempt(model="gpt-4o", outcome=decision_pb2.ATTEMPT_OUTCOME_TIMED_OUT)
    told = narrate([admitted(2), settled(3, attempts=[attempt, attempt])], SETTLED)
    assert "Retry: gpt-4o was tried again after attempt 1." in told
    assert not any(sentence.startswith("Fallback") for sentence in told)


def test_the_order_is_read_from_the_sequences() -> None:
    assert order_of_check([settled(3), admitted(4)]) == (
        "Order: VIOLATED: attempts are reported in record 3, before the decision in record 4."
    )
    assert "no decision is recorded" in order_of_check([settled(3)])


def test_a_model_that_was_not_healthy_is_mentioned() -> None:
    call = admitted(2)
    call.decision.inputs.health.add(
        model="llama-local", breaker=audit_record_pb2.BREAKER_STATE_OPEN, open_until_unix_nanos=T0
    )
    assert "Health of llama-local: its breaker was open until 2026-11-18 11:06:40.000 UTC." in narrate([call], OPEN)


def test_text_from_agents_cannot_act_on_a_terminal_or_fake_a_line() -> None:
    call = admitted(2)
    call.decision.inputs.workload = "a\x1b[2Jb\nOrder: faked\u202e" + "x" * 500
    told = narrate([call], OPEN)
    assert all(sentence.isprintable() for sentence in told)
    assert "a\\x1b[2Jb\\nOrder: faked\\u202e" in told[0]
    assert len(visible("x" * 500)) == MAX_VALUE_CHARS


def test_summaries_are_one_line() -> None:
    released = record(
        4,
        "INVOCATION_RELEASED",
        tenant="acme",
        hold_ended=audit_record_pb2.HoldEnded(held=usd(1), charged=usd(0), reason="not sent"),
    )
    applied = record(
        5, "CONFIG_APPLIED", operator="asha", config_applied=audit_record_pb2.ConfigApplied(source="fairlead.yaml")
    )
    refused = record(
        6,
        "CONFIG_REJECTED",
        config_rejected=audit_record_pb2.ConfigRejected(
            source="a.yaml", violations=2, first_violation="price\nmissing"
        ),
    )
    restored = record(7, "CONTROL_CHANGED", control_changed=audit_record_pb2.ControlChanged(subject="store.restored"))
    restored.control_changed.detail.update({"audit_sequence": 17, "backup_time": "2026-11-21T10:00:00\nZ"})
    assert [
        (kind_name(item.kind), who(item), summarize(item))
        for item in (started(1), admitted(2), settled(3, late=True), released, applied, refused, restored)
    ] == [
        ("sidecar-started", "-", "fairlead 0.1.0, 0 open holds, 0 budget instances"),
        (
            "invocation-admitted",
            "acme/support-bot",
            "classification: gpt-4o-mini > claude-sonnet, held $0.0125, clamped to 640 output tokens",
        ),
        ("invocation-settled", "acme/support-bot", "claude-sonnet, 2 attempts, charged $0.0027, 420 tokens, late"),
        ("invocation-released", "acme", "held $1.00, charged nothing (not sent)"),
        ("config-applied", "operator asha", "3fa2b1c09d1e from fairlead.yaml"),
        ("config-rejected", "-", "a.yaml: 2 violations, first: price\\nmissing"),
        ("control-changed", "-", "store.restored: audit_sequence 17, backup_time 2026-11-21T10:00:00\\nZ"),
    ]


def test_kinds_have_names_both_ways() -> None:
    assert [kind_of(name) for name in kind_names()] == [k for k in audit_record_pb2.EventKind.values() if k]
    assert kind_name(4711) == "kind-4711"


def test_durations_are_in_the_unit_people_use() -> None:
    attempt = decision_pb2.Attempt(
        model="m", outcome=decision_pb2.ATTEMPT_OUTCOME_CUT, latency=Duration(nanos=850_000), detail="reset by peer"
    )
    told = narrate([admitted(2), settled(3, attempts=[attempt])], SETTLED)
    assert (
        "Attempt 1: m broke off in the middle of the answer, after 0.85 ms (reset by peer); no usage reported." in told
    )


def test_what_a_dialect_cannot_say_a_session_that_moved_and_the_rules_on_the_answer() -> None:
    call = admitted(2)
    call.decision.decision.output_rules.append("no-secrets")
    call.decision.dropped[0].reason = decision_pb2.DROP_REASON_UNTRANSLATABLE
    call.decision.inputs.untranslatable.add(dialect="anthropic-messages", field="logit_bias")
    call.decision.inputs.untranslatable.add(dialect="anthropic-messages", field="n", essential=True)
    switch = audit_record_pb2.SessionSwitch(
        from_model="gpt-4o", reason=decision_pb2.DROP_REASON_UNHEALTHY, detail="breaker open"
    )
    call.decision.session_switch.CopyFrom(switch)
    told = narrate([call], OPEN)
    for sentence in (
        "Left out llama-local: its provider's dialect cannot say what the request says (breaker closes in 4 s).",
        "The dialect anthropic-messages has no place for logit_bias, n (essential).",
        "The session left gpt-4o, which it was pinned to: it is not healthy or asked to wait (breaker open).",
        "Rules that the answer has to pass: no-secrets.",
    ):
        assert sentence in told


def test_what_was_left_out_and_what_rules_found_is_told_with_its_attempt() -> None:
    call = settled(3)
    answered = call.settlement.attempts[1]
    answered.dropped_fields.extend(["seed", "logprobs"])
    answered.usage.cache_write_1h, answered.usage.audio_output = 7, 8
    answered.findings.add(rule="no-secrets", detector="secrets", count=2, action=decision_pb2.FINDING_ACTION_REDACTED)
    call.settlement.attempts[0].outcome = decision_pb2.ATTEMPT_OUTCOME_REJECTED
    told = narrate([admitted(2), call], SETTLED)
    assert (
        "Attempt 2: claude-sonnet answered completely, status 200, after 1.25 s, sent without seed, logprobs; 300 "
        "input, 7 cache write for an hour, 120 output, 8 audio output tokens." in told
    )
    assert "Output rule no-secrets: secrets found 2 times; replaced." in told
    assert any("a rule on its output refused the answer" in sentence for sentence in told)


def test_the_dialect_of_the_call_is_told() -> None:
    call = admitted(2)
    call.decision.inputs.dialect = "anthropic-messages"
    assert "streamed, in anthropic-messages)." in narrate([call], OPEN)[0]


def test_an_answer_from_the_cache_held_nothing() -> None:
    call = admitted(2, cached=True)
    call.decision.inputs.cached_invocation = "inv_1"
    told = narrate([call], SETTLED)
    assert "Answered from the response cache, with the answer of inv_1: nothing was held or charged." in told
    assert not any(sentence.startswith("Held") for sentence in told)
    assert told[-1] == "Order: decided in record 2; no provider was asked."
    assert summarize(call) == "classification: answered from the cache"
