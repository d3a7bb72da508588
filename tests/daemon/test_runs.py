"""Runs of a real daemon: whole stories, from both endpoints, over kills and restarts."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc, run_pb2

from .people import TOKENS, command, vote
from .runs import LOAN, STRANGER, Agent, Desk, approval_of, refusal, running

SUCCEEDED, COMPENSATED = run_pb2.RUN_STATE_SUCCEEDED, run_pb2.RUN_STATE_COMPENSATED
FAILED, WAITING = run_pb2.RUN_STATE_FAILED, run_pb2.RUN_STATE_WAITING


def to_review(agent: Agent, name: str) -> None:
    """Does the steps up to the approval."""
    assert agent.do("parser", {"parts": [1, 2]}).run == name
    for lease in agent.lease("scorer", 2):
        agent.complete(lease, json.loads(lease.input)["part"] / 10)


def approve(daemon: object, desk: Desk, name: str, step: str = "review") -> str:
    """Two people agree; the approval's name."""
    approval = approval_of(desk, name, step)
    for who in ("asha", "ben"):
        vote(daemon, who, "approve", approval)  # type: ignore[arg-type]
    return approval


def test_a_run_from_its_start_to_its_end_is_seen_and_explained(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent, desk = Agent(daemon), Desk(daemon)
        name = agent.start()
        seen: list[str] = []
        states: list[int] = []

        def follow() -> None:
            for message in agent.watch(name):
                if message.WhichOneof("what") == "run":
                    states.append(message.run.state)
                else:
                    seen.append(audit_record_pb2.EventKind.Name(message.event.kind).removeprefix("EVENT_KIND_"))

        stream = agent.watch(name)
        assert next(stream).run.steps[0].id == "parse"
        stream.cancel()
        follower = threading.Thread(target=follow)
        follower.start()
        to_review(agent, name)
        assert desk.run(name).state == WAITING
        assert desk.states(name) == {
            "parse": "succeeded",
            "score": "succeeded",
            "score[0]": "succeeded",
            "score[1]": "succeeded",
            "review": "waiting approval",
            "paid": "blocked",
            "offer": "blocked",
        }
        approval = approve(daemon, desk, name)
        assert command(daemon, "run", "signal", name, "payment", "--payload", '{"paid": true}').returncode == 0
        offer = agent.do("mailer", {"sent": True})
        assert (offer.idempotency_key, json.loads(offer.input)) == ("offer/7", {"id": 7})
        follower.join(30)
        assert states[-1] == SUCCEEDED and seen[-1] == "RUN_ENDED"
        run = desk.run(name)
        assert (run.state, run.steps_ended, run.steps_total) == (SUCCEEDED, 7, 7)
        steps = {step.id: step for step in run.steps}
        assert json.loads(steps["score"].output) == [0.1, 0.2]
        assert json.loads(steps["review"].output)["by"] == ["asha", "ben"]
        assert json.loads(steps["paid"].output) == {"paid": True}
        told = command(daemon, "explain", name).stdout
        for part in (
            "agent bot of tenant acme started a run of workflow loan",
            "attempt 1 at step parse by worker w-1 of agent bot (epoch 1)",
            f"asha (finance) approved {approval}",
            "sent signal payment, payload of 14 bytes",
            "(epoch 1, key offer/7)",
            "the run succeeded",
        ):
            assert part in told, told
        listed = [json.loads(line)["name"] for line in command(daemon, "run", "list", "--json").stdout.splitlines()]
        assert listed == [name]
        assert command(daemon, "audit", "verify").returncode == 0


def test_nothing_is_lost_when_the_daemon_is_killed_in_the_middle(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent = Agent(daemon)
        name = agent.start()
        agent.do("parser", {"parts": [1, 2, 3], "large": "x" * 300_000})
        (first, _) = agent.lease("scorer", 2)
        agent.complete(first, 0.5)
        stream = agent.watch(name, after_sequence=1)
        before = [next(stream).event.sequence for _ in range(5)]
        daemon.kill()
        daemon.start()
        agent, desk = Agent(daemon), Desk(daemon)
        states = desk.states(name)
        assert (states["parse"], states["score[0]"]) == ("succeeded", "succeeded")
        parse = next(step for step in desk.run(name, step="parse").steps if step.id == "parse")
        assert len(json.loads(parse.output)["large"]) == 300_000
        rest = agent.watch(name, after_sequence=before[-1])
        (lease,) = agent.lease("scorer")
        agent.complete(lease, 0.6)
        everything = [next(stream_of).event.sequence for stream_of in [agent.watch(name, 1)] for _ in range(8)]
        assert everything[:5] == before and everything == sorted(set(everything))
        assert next(rest).event.sequence == everything[5]
        # What was done is not leased again.
        assert all(lease.step != "parse" for lease in agent.lease("parser", 1, seconds=0))


def test_a_cancelled_run_takes_back_what_it_had_done(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent, desk = Agent(daemon), Desk(daemon)
        name = agent.start()
        to_review(agent, name)
        approve(daemon, desk, name)
        agent.call("SignalRun", request_id="g-1", name=name, signal="payment")
        (offer,) = agent.lease("mailer")
        assert command(daemon, "run", "cancel", name, "--reason", "not needed", token=TOKENS["asha"]).returncode == 0
        agent.complete(offer, {"sent": True})
        (retract,) = agent.lease("retract")
        assert retract.compensation and json.loads(retract.compensates) == {"sent": True}
        agent.complete(retract)
        assert desk.run(name).state == COMPENSATED
        assert refusal(desk.call, "PauseRun", request_id="p-1", name=name) == "INVALID_STATE"
        told = command(daemon, "explain", name).stdout
        assert "operator asha cancelled the run: not needed" in told
        assert "to take back step offer" in told and "it took the result back" in told


def test_a_rerun_does_only_what_has_no_result(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent, desk = Agent(daemon), Desk(daemon)
        name = agent.start()
        agent.do("parser", {"parts": [1], "large": "x" * 300_000})
        (lease,) = agent.lease("scorer")
        agent.fail(lease, "OOPS", final=True)
        assert desk.run(name).state == FAILED
        first = agent.call("RerunRun", request_id="r-1", name=name).run
        again = agent.call("RerunRun", request_id="r-1", name=name).run
        assert (first.name, first.rerun_of) == (again.name, name) and first.name != name
        steps = {step.id: step for step in desk.run(first.name).steps}
        assert steps["parse"].replayed and len(json.loads(steps["parse"].output)["large"]) == 300_000
        (lease,) = agent.lease("scorer")
        assert lease.run == first.name
        assert refusal(agent.call, "RerunRun", request_id="r-2", name=first.name) == "INVALID_STATE"
        assert refusal(agent.call, "RerunRun", request_id="r-3", name=name, from_step="none") == "INVALID_ARGUMENT"
        from_start = agent.call("RerunRun", request_id="r-4", name=name, from_step="parse").run
        assert desk.states(from_start.name)["parse"] == "ready"
        told = command(daemon, "explain", first.name).stdout
        assert f"It repeats {name}" in told


def test_an_operator_starts_and_waits(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent = Agent(daemon)
        worker = threading.Thread(target=agent.do, args=("parser", {"done": True}))
        worker.start()
        done = command(daemon, "run", "start", "short", "--tenant", "acme", "--wait", token=TOKENS["asha"])
        worker.join(30)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0].startswith("runs/run_") and "succeeded" in lines[-1]
        refused = command(daemon, "run", "start", "none", "--tenant", "acme")
        assert refused.returncode == 1 and "there is no workflow `none`" in refused.stderr
        assert command(daemon, "run", "start", "short").returncode == 2


def test_another_tenant_sees_nothing_of_a_run(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent, stranger, desk = Agent(daemon), Agent(daemon, STRANGER), Desk(daemon)
        name = agent.start()
        assert agent.call("GetRun", name=name).run.name == name
        for method, fields in (
            ("GetRun", {}),
            ("CancelRun", {"request_id": "a"}),
            ("PauseRun", {"request_id": "b"}),
            ("ResumeRun", {"request_id": "c"}),
            ("SignalRun", {"request_id": "d", "signal": "payment"}),
            ("RerunRun", {"request_id": "e"}),
        ):
            assert refusal(stranger.call, method, name=name, **fields) == "NOT_FOUND", method
        assert refusal(stranger.watch, name) == "NOT_FOUND"
        assert not stranger.call("ListRuns").runs and not stranger.lease("parser", seconds=0)
        assert stranger.start() != name
        assert [run.tenant for run in desk.call("ListRuns").runs] == ["other", "acme"]
        mine = {one.name: one.open_runs for one in agent.call("ListWorkflows").workflows}
        assert mine == {"workflows/brief": 0, "workflows/loan": 1, "workflows/nested": 0, "workflows/short": 0}
        loan = desk.call("GetWorkflow", name="workflows/loan").workflow
        assert (loan.open_runs, loan.steps) == (2, 5) and "offer" in loan.definition


def test_runs_are_deleted_when_their_time_has_passed_and_the_log_is_not(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent, desk = Agent(daemon), Desk(daemon)
        name = agent.start("brief")
        agent.do("parser", {"done": True})
        # A child's own time does not count: it goes with its root, which is kept.
        root = agent.start("nested", "s-2")
        agent.do("parser")
        agent.do("parser")
        kept = agent.start("loan", "s-3")
        assert refusal(desk.call, "GetRun", name=name) == "NOT_FOUND"
        child = next(step.child for step in desk.run(root).steps if step.id == "sub")
        assert desk.run(child).state == SUCCEEDED
        # The first sweep of a life is right at its beginning.
        daemon.restart()
        audit = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
        request = audit_service_pb2.WatchEventsRequest(from_start=True)
        request.filter.kinds.append(audit_record_pb2.EVENT_KIND_CONTROL_CHANGED)
        stream = audit.WatchEvents(request, timeout=30)
        changed = next(stream).event.record.control_changed
        stream.cancel()
        assert (changed.subject, changed.detail["roots"]) == ("runs.deleted", name.removeprefix("runs/"))
        desk = Desk(daemon)
        assert {run.name for run in desk.call("ListRuns").runs} == {kept, child, root}
        assert command(daemon, "audit", "verify").returncode == 0
        assert command(daemon, "explain", name).returncode == 1


def test_a_changed_file_does_not_touch_open_runs(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        agent, desk = Agent(daemon), Desk(daemon)
        name = agent.start()
        version = desk.run(name).workflow_version
        mark = daemon.mark()
        (tmp_path / "loan.yaml").write_text(LOAN.replace("mailer", "postman"))
        daemon.wait_log("configuration applied", after=mark)
        later = agent.start(request_id="s-2")
        assert desk.run(later).workflow_version != version == desk.run(name).workflow_version
        assert {step.id: step.queue for step in desk.run(name).steps}["offer"] == "mailer"
        assert {step.id: step.queue for step in desk.run(later).steps}["offer"] == "postman"
        current = agent.call("GetWorkflow", name="workflows/loan").workflow
        assert current.version == desk.run(later).workflow_version
