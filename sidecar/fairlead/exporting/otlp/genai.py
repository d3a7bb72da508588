"""Audit record → attributes of OpenTelemetry's conventions for generative AI, `gen_ai.*`. Pure.

The conventions are in development; only names that they have are used. What agents and models said is never in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.exporting.otlp.values import Value
from fairlead.v1 import amount_pb2, audit_record_pb2, decision_pb2


def of_generative_ai(record: audit_record_pb2.AuditRecord) -> dict[str, Value]:
    """The attributes of a record that is about a model, a tool or a workflow; empty for every other."""
    match record.WhichOneof("body"):
        case "decision":
            found = _decision(record.decision)
        case "settlement":
            found = _settlement(record.settlement)
        case "tool":
            found = _tool(record.tool.inputs.tool, record.invocation, record.tool.inputs.session)
        case "tool_completed":
            found = _tool(record.tool_completed.tool, record.invocation, "")
        case "run":
            found = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": record.run.workflow}
        case _:
            return {}
    return {name: value for name, value in {**found, "gen_ai.agent.name": record.agent}.items() if value}


def _decision(decision: audit_record_pb2.DecisionRecord) -> Mapping[str, Value]:
    first = decision.plan[0] if decision.plan else None
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": decision.inputs.model,
        "gen_ai.request.stream": decision.inputs.stream,
        "gen_ai.request.max_tokens": decision.max_output_tokens,
        "gen_ai.conversation.id": decision.inputs.session,
        "gen_ai.provider.name": first.provider if first is not None else "",
    }


def _settlement(settlement: audit_record_pb2.SettlementRecord) -> Mapping[str, Value]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": settlement.model,
        **usage_facts(settlement.attempts),
    }


def usage_facts(attempts: Sequence[decision_pb2.Attempt]) -> Mapping[str, Value]:
    """Tokens of a call, all of its attempts together."""
    usages = [attempt.usage for attempt in attempts]
    return {
        "gen_ai.usage.input_tokens": sum(map(input_tokens, usages)),
        "gen_ai.usage.output_tokens": sum(map(output_tokens, usages)),
        "gen_ai.usage.cache_read.input_tokens": sum(usage.cached_input for usage in usages),
        "gen_ai.usage.cache_creation.input_tokens": sum(usage.cache_write + usage.cache_write_1h for usage in usages),
        "gen_ai.usage.reasoning.output_tokens": sum(usage.reasoning for usage in usages),
    }


def input_tokens(usage: amount_pb2.Usage) -> int:
    """All of them, as the conventions count: those of caches are a part of them."""
    written = usage.cache_write + usage.cache_write_1h
    return usage.input + usage.cached_input + written + usage.audio_input + usage.image_input


def output_tokens(usage: amount_pb2.Usage) -> int:
    """All of them: those of reasoning are a part of them."""
    return usage.output + usage.reasoning + usage.audio_output


def _tool(tool: str, call: str, session: str) -> Mapping[str, Value]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.tool.call.id": call,
        "gen_ai.conversation.id": session,
    }
