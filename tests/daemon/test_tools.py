"""Tool calls against the real daemon: rules by arguments, one grant for a key, and sessions that remember."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fairlead.client import (
    AsyncClient,
    FairleadError,
    Granted,
    InvalidArgument,
    InvalidState,
    NotFound,
    PolicyDenied,
    Replayed,
    ToolEffect,
    ToolOutcome,
)
from fairlead.v1 import audit_record_pb2

from . import people
from .harness import TOKEN, Daemon
from .people import client, granted, refund, stranger

CALLERS = 256


def daemon_with_people(directory: Path, config: str = people.CONFIG) -> Daemon:
    return Daemon(directory, config, environment=people.ENVIRONMENT)


def test_a_tool_that_the_catalogue_does_not_have_is_destructive_whatever_the_caller_claims(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        with pytest.raises(PolicyDenied) as denied:
            agent.authorize_tool("db.drop", {}, effect=ToolEffect.READ)
        assert denied.value.metadata["rule"] == "no-unknown-tools"
        granted(agent.authorize_tool("web.fetch", {"url": "https://example.com"}, session="s-1"))
        # Labels need a session that has them.
        with pytest.raises(InvalidArgument) as homeless:
            agent.authorize_tool("web.fetch", {})
        assert [field for field, _ in homeless.value.violations] == ["session"]


def test_rules_deny_constrain_and_check_arguments(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        with pytest.raises(PolicyDenied) as denied:
            agent.authorize_tool("mail.night", {}, session="s-1")
        assert denied.value.metadata["rule"] == "no-night-mail"
        small = granted(refund(agent, "k-1", 80))
        assert small.arguments == {"amount": 80, "card": "[redacted]"}
        assert small.changed == ("/card",)
        with pytest.raises(InvalidArgument) as invalid:
            agent.authorize_tool("payments.refund", {"amount": "canary-amount"})
        assert "canary-amount" not in str(invalid.value) + str(invalid.value.violations)


def test_a_key_gets_its_recorded_result_also_after_a_restart(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon:
        with client(daemon) as agent:
            first = granted(refund(agent, "refund/1", 10))
            with pytest.raises(InvalidState):
                refund(agent, "refund/1", 10)
            agent.complete_tool(first.grant, ToolOutcome.SUCCEEDED, {"refund": "r-1"})
            again = refund(agent, "refund/1", 10)
            assert isinstance(again, Replayed)
            assert (again.result, again.grant) == ({"refund": "r-1"}, first.grant)
        daemon.kill()
        daemon.start()
        with client(daemon) as agent, stranger(daemon) as other:
            later = refund(agent, "refund/1", 10)
            assert isinstance(later, Replayed) and later.result == {"refund": "r-1"}
            # A key is the tenant's own.
            granted(refund(other, "refund/1", 10))


def test_what_failed_may_be_granted_again_and_what_nobody_knows_may_not(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        failed = granted(refund(agent, "k-failed", 10))
        agent.complete_tool(failed.grant, ToolOutcome.FAILED)
        assert granted(refund(agent, "k-failed", 10)).grant != failed.grant
        unknown = granted(refund(agent, "k-unknown", 10))
        agent.complete_tool(unknown.grant, ToolOutcome.UNKNOWN)
        with pytest.raises(InvalidState):
            refund(agent, "k-unknown", 10)
        # Somebody has looked at the bank's side since.
        agent.complete_tool(unknown.grant, ToolOutcome.SUCCEEDED, "r-9")
        assert isinstance(refund(agent, "k-unknown", 10), Replayed)


def test_a_grant_that_nobody_completes_becomes_unknown(tmp_path: Path) -> None:
    config = people.CONFIG + "reservations: {toolTtl: 1s}\n"
    with daemon_with_people(tmp_path, config) as daemon, client(daemon) as agent:
        open_call = granted(refund(agent, "k-1", 10))
        people.wait_for_record(daemon, audit_record_pb2.EVENT_KIND_TOOL_COMPLETED)
        told = people.command(daemon, "explain", open_call.grant)
        assert told.returncode == 0 and "UNKNOWN" in told.stdout.splitlines()[0]


def test_of_256_callers_with_one_key_one_is_granted(tmp_path: Path) -> None:
    async def call_at_once(target: str) -> list[object]:
        async with AsyncClient(target, token=TOKEN, timeout=30) as agent:

            async def ask() -> object:
                try:
                    return await agent.authorize_tool("payments.refund", {"amount": 1}, idempotency_key="one")
                except FairleadError as refusal:
                    return refusal

            return await asyncio.gather(*(ask() for _ in range(CALLERS)))

    with daemon_with_people(tmp_path) as daemon:
        answers = asyncio.run(call_at_once(daemon.endpoints()["agent"]))
        assert len([answer for answer in answers if isinstance(answer, Granted)]) == 1
        assert len([answer for answer in answers if isinstance(answer, InvalidState)]) == CALLERS - 1


def test_somebody_elses_grant_is_not_there(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent, stranger(daemon) as other:
        mine = granted(refund(agent, "k-1", 10))
        with pytest.raises(NotFound):
            other.complete_tool(mine.grant, ToolOutcome.SUCCEEDED)
        agent.complete_tool(mine.grant, ToolOutcome.SUCCEEDED)


def test_untrusted_input_private_data_and_a_way_out_never_meet_in_one_session(tmp_path: Path) -> None:
    def use(agent: people.Client, tool: str, session: str) -> tuple[str, ...]:
        grant = granted(agent.authorize_tool(tool, {}, session=session)).grant
        return agent.complete_tool(grant, ToolOutcome.SUCCEEDED)

    with daemon_with_people(tmp_path) as daemon:
        with client(daemon) as agent:
            assert use(agent, "web.fetch", "s-1") == ("saw_untrusted",)
            assert use(agent, "mail.send", "s-1") == ("can_egress", "saw_untrusted")
            assert use(agent, "crm.read", "s-1") == ("can_egress", "read_private", "saw_untrusted")
        daemon.kill()
        daemon.start()
        with client(daemon) as agent:
            with pytest.raises(PolicyDenied) as denied:
                agent.authorize_tool("mail.send", {}, session="s-1")
            assert denied.value.metadata["rule"] == "never-all-three"
            # Another conversation, and another tenant's of the same name, have seen nothing.
            use(agent, "mail.send", "s-2")
        with stranger(daemon) as other:
            use(other, "mail.send", "s-1")
