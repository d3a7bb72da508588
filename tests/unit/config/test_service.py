"""A version becomes the running one whole or not at all, once per request id, and can be gone back to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from fairlead.config import Loader
from fairlead.config.reload import Reloader
from fairlead.config.service import ConfigurationService
from fairlead.config.watch import Changed
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import config_service_pb2 as pb
from tests.unit.config.fakes import FakeCore, FakeStore
from tests.unit.config.samples import VALID, write

HOUR = 3_600_000_000_000
SECOND = VALID.replace("input: 2.50", "input: 3")
THIRD = VALID.replace("input: 2.50", "input: 4")


class World:
    """A service on a fake core, with a clock that goes on by a second at every look."""

    def __init__(self, text: str = VALID) -> None:
        self.environment = {"TOKEN": "token-1"}
        self.now = 1_000_000 * HOUR
        self.store = FakeStore()
        self.core = FakeCore(self.store)
        self.loader = Loader(None, self.environment)
        self.applied: list[str] = []
        self.start(text)

    def start(self, text: str) -> None:
        self.service = ConfigurationService(
            self.core,
            self.store,
            self.loader,
            self.loader.load_text(text),
            self.clock,
            lambda config, secrets: self.applied.append(secrets.values["tenants/acme/agents/bot"]),
        )
        self.run(self.service.begin("fairlead.yaml"))

    def clock(self) -> int:
        self.now += 1_000_000_000
        return self.now

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(call)

    def apply(self, text: str, request_id: str = "", **fields: Any) -> pb.ConfigVersion:
        request = pb.ApplyConfigRequest(yaml=text, request_id=request_id or f"r-{self.now}", **fields)
        response: pb.ApplyConfigResponse = self.run(self.service.apply(request, "asha"))
        return response.version

    def rollback(self, version: str = "", request_id: str = "") -> pb.ConfigVersion:
        request = pb.RollbackConfigRequest(version=version, request_id=request_id or f"r-{self.now}")
        response: pb.RollbackConfigResponse = self.run(self.service.rollback(request, "asha"))
        return response.version

    def history(self, **fields: Any) -> list[pb.ConfigVersion]:
        return list(self.run(self.service.list(pb.ListConfigVersionsRequest(**fields))).versions)

    @property
    def running(self) -> str:
        return self.service.running.version


def test_the_first_configuration_is_recorded_once() -> None:
    world = World()
    (entry,) = world.history()
    assert (entry.version, entry.source, entry.active) == (world.running, "fairlead.yaml", True)
    world.start(VALID)
    assert len(world.core.loads) == 1
    world.start(SECOND)
    assert [entry.active for entry in world.history()] == [True, False]


def test_an_application_is_one_unit_with_text_history_and_answer() -> None:
    world = World()
    before = world.running
    entry = world.apply(SECOND)
    load = world.core.loads[-1]
    assert world.core.commands[-1].caller.operator == "asha"
    assert (load.config.version, load.source, load.secrets.values["tenants/acme/agents/bot"]) == (
        entry.version, "api", "token-1"
    )  # fmt: skip
    assert sorted(write.family for write in load.writes) == [3, 3, 3, 6]
    assert (entry.operator, entry.active, world.running) == ("asha", True, entry.version)
    assert entry.version != before
    shown = world.run(world.service.get(pb.GetConfigRequest()))
    assert shown.version == entry and '"input":"3"' in shown.canonical_json


def test_the_same_request_id_gets_the_first_answer_and_no_second_change() -> None:
    world = World()
    first = world.apply(SECOND, "r-1")
    world.apply(THIRD, "r-2")
    assert world.apply(SECOND, "r-1") == first
    assert world.running != first.version
    with pytest.raises(Refusal, match="was used for a different request"):
        world.apply(THIRD, "r-1")
    world.now += 25 * HOUR
    assert world.apply(SECOND, "r-1") != first
    with pytest.raises(Refusal, match="is required"):
        world.run(world.service.apply(pb.ApplyConfigRequest(yaml=VALID), "asha"))


def test_a_version_that_runs_already_is_not_applied_again_but_answers_the_same() -> None:
    world = World()
    loads = len(world.core.loads)
    entry = world.apply("# only a comment\n" + VALID, "r-1")
    assert entry == world.history()[0] and entry.source == "fairlead.yaml"
    assert [load.secrets_only for load in world.core.loads[loads:]] == [True]
    world.apply(SECOND)
    assert world.apply("# only a comment\n" + VALID, "r-1") == entry


def test_an_invalid_configuration_is_refused_and_the_running_one_stays() -> None:
    world = World()
    before = world.running
    with pytest.raises(Refusal) as caught:
        world.apply(VALID.replace("provider: local", "provider: nobody"))
    refusal = caught.value
    assert (refusal.reason, world.running) == ("INVALID_ARGUMENT", before)
    assert [(v.field, v.description.partition(":")[0]) for v in refusal.violations] == [
        ("models[0].provider", "line 9"),
        ("models[1].provider", "line 10"),
    ]
    assert len(world.core.loads) == 1


def test_a_configuration_that_the_core_refuses_leaves_no_trace() -> None:
    world = World()
    before, stored = world.running, dict(world.store.families[3])
    world.core.reject = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="disk full")
    with pytest.raises(Refusal, match="disk full"):
        world.apply(SECOND)
    assert (world.running, world.store.families[3]) == (before, stored)


def test_validation_changes_nothing_and_answers_with_every_violation() -> None:
    world = World()
    commands = len(world.core.commands)
    good = world.run(world.service.apply(pb.ApplyConfigRequest(yaml=SECOND, validate_only=True), "asha"))
    bad = world.run(world.service.apply(pb.ApplyConfigRequest(yaml="a: 1\nb: 2\n", validate_only=True), "asha"))
    assert good.version.version and not good.version.active and not good.violations
    assert [(v.line, v.path) for v in bad.violations] == [(1, "a"), (1, "apiVersion"), (2, "b")]
    assert len(world.core.commands) == commands


def test_the_etag_must_be_the_running_version() -> None:
    world = World()
    first = world.running
    world.apply(SECOND, etag=first)
    with pytest.raises(Refusal) as caught:
        world.apply(THIRD, etag=first)
    assert (caught.value.reason, caught.value.metadata["running"]) == ("ETAG_MISMATCH", world.running)


def test_history_names_each_version_once_latest_first_and_pages_are_stable() -> None:
    world = World()
    texts = [VALID, SECOND, THIRD]
    for text in (SECOND, THIRD, VALID, SECOND):
        world.apply(text)
    versions = {text: world.loader.load_text(text).version for text in texts}
    assert [entry.version for entry in world.history()] == [versions[SECOND], versions[VALID], versions[THIRD]]
    page = world.run(world.service.list(pb.ListConfigVersionsRequest(page_size=2)))
    world.apply(VALID.replace("input: 2.50", "input: 5"))
    rest = world.run(world.service.list(pb.ListConfigVersionsRequest(page_token=page.next_page_token)))
    assert [entry.version for entry in (*page.versions, *rest.versions)] == [
        versions[SECOND], versions[VALID], versions[THIRD]
    ]  # fmt: skip
    assert not rest.next_page_token
    for request in (pb.ListConfigVersionsRequest(page_size=-1), pb.ListConfigVersionsRequest(page_token="x")):
        with pytest.raises(Refusal, match="page_"):
            world.run(world.service.list(request))


def test_versions_are_found_by_a_unique_prefix() -> None:
    world = World()
    version = world.running
    assert world.run(world.service.get(pb.GetConfigRequest(version=version[:6]))).version.version == version
    for wrong, reason in ((version[:5], "INVALID_ARGUMENT"), ("x" * 8, "INVALID_ARGUMENT"), ("0" * 8, "NOT_FOUND")):
        with pytest.raises(Refusal) as caught:
            world.run(world.service.get(pb.GetConfigRequest(version=wrong)))
        assert caught.value.reason == reason


def test_rolling_back_goes_to_the_version_before_or_to_a_named_one() -> None:
    world = World()
    first = world.running
    second = world.apply(SECOND).version
    with_history = world.rollback(request_id="back")
    assert (with_history.version, with_history.source, world.running) == (first, "rollback", first)
    assert world.core.loads[-1].config.version == first
    # The version before is now the one that was left.
    assert world.rollback().version == second
    assert world.rollback(first[:8]).version == first
    assert world.rollback(request_id="back") == with_history
    with pytest.raises(Refusal, match="no configuration version begins with"):
        world.rollback("abcdef0")
    with pytest.raises(Refusal) as caught:
        World().rollback()
    assert caught.value.reason == "INVALID_STATE"


def test_rolling_back_without_its_secrets_is_refused() -> None:
    world = World()
    world.environment["OTHER"] = "token-2"
    world.apply(VALID.replace("fromEnv: TOKEN", "fromEnv: OTHER"))
    running = world.running
    del world.environment["TOKEN"]
    with pytest.raises(Refusal, match="TOKEN is not set"):
        world.rollback()
    assert world.running == running


def test_a_stored_text_that_this_program_does_not_understand_is_refused_by_name() -> None:
    world = World()
    first = world.running
    world.apply(SECOND)
    world.store.families[3][b"v" + first.encode()] = b'{"apiVersion":"fairlead/v0"}'
    with pytest.raises(Refusal, match="written by another version of the program"):
        world.rollback()


FAILED = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="the fsync failed")


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_a_change_that_landed_although_its_commit_failed_runs_and_its_answer_is_true(told: bool) -> None:
    world = World()
    second = world.loader.load_text(SECOND).version
    world.core.reject, world.core.landing = FAILED, True
    with pytest.raises(Refusal, match="the fsync failed"):
        world.apply(SECOND, "r-1")
    assert world.running != second
    if told:
        world.run(world.service.settle())
        assert world.running == second
    # Also when the retry comes before the store's return is noticed.
    assert world.apply(SECOND, "r-1").version == second == world.running
    (load,) = (load for load in world.core.loads if load.config.version == second)
    assert (load.source, load.secrets.values["tenants/acme/agents/bot"]) == ("api", "token-1")
    assert [entry.version for entry in world.history() if entry.active] == [second]


def test_a_change_that_landed_but_cannot_run_leaves_the_running_one_as_the_current() -> None:
    world = World()
    first = world.running
    world.environment["OTHER"] = "token-2"
    world.core.reject, world.core.landing = FAILED, True
    with pytest.raises(Refusal, match="the fsync failed"):
        world.apply(VALID.replace("fromEnv: TOKEN", "fromEnv: OTHER"))
    del world.environment["OTHER"]
    world.run(world.service.settle())
    assert world.running == first
    assert [(entry.version, entry.source) for entry in world.history() if entry.active] == [(first, "recovery")]


def test_a_store_that_still_fails_leaves_the_settling_for_later() -> None:
    world = World()
    world.core.reject, world.core.landing = FAILED, True
    with pytest.raises(Refusal, match="the fsync failed"):
        world.apply(SECOND)
    world.core.reject, world.core.landing = FAILED, False
    world.run(world.service.settle())
    world.run(world.service.settle())
    assert world.running == world.loader.load_text(SECOND).version


TWO_AGENTS = VALID.replace("      - {name: bot, token: {fromEnv: TOKEN}}\n", """\
      - {name: bot, token: {fromEnv: TOKEN}}
      - {name: other, token: {fromEnv: OTHER}}
""")  # fmt: skip


def test_a_rotation_or_a_rollback_that_makes_two_callers_the_same_is_refused() -> None:
    world = World()
    world.environment["OTHER"] = "token-2"
    world.apply(TWO_AGENTS)
    world.environment["OTHER"] = "token-1"
    applied = len(world.applied)
    with pytest.raises(Refusal, match="other: is the same credential as tenants/acme/agents/bot") as caught:
        world.run(world.service.reload_secrets())
    assert "token-1" not in caught.value.message
    world.environment["OTHER"] = "token-2"
    world.apply(VALID)
    world.environment["OTHER"] = "token-1"
    running = world.running
    with pytest.raises(Refusal, match="is the same credential"):
        world.rollback()
    assert (world.running, len(world.applied)) == (running, applied + 1)


def test_what_has_no_effect_now_is_said(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    text = VALID + "limits: {streams: 7}\n"
    world.apply(text + 'listen: {agent: "127.0.0.1:1"}\n')
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.partition(" ")[0] for line in said] == ["changes", "limits.streams"]


def test_differences_are_named_by_value() -> None:
    world = World()
    first = world.running
    world.apply(
        SECOND.replace("{name: small, provider: local,", "{name: tiny, provider: local,")
        .replace("[{model: small}]", "[{model: tiny}]")
        .replace("routes:\n", "limits: {streams: 7}\nroutes:\n  - {name: new, targets: [{model: large}]}\n")
    )
    response = world.run(world.service.diff(pb.DiffConfigRequest(from_version=first)))
    changes = {change.path: (change.before, change.after) for change in response.changes}
    assert list(changes) == sorted(changes)
    assert changes["limits.streams"] == ("2048", "7")
    assert changes["models[large].price.input"] == ('"2.5"', '"3"')
    assert changes["models[small]"][1] == "" and changes["models[tiny]"][0] == ""
    assert changes["routes[new]"][0] == ""
    assert "routes" not in changes and "models[large]" not in changes


def test_a_new_order_of_routes_is_a_difference() -> None:
    routes = ["  - {name: a, targets: [{model: small}]}\n", "  - {name: b, targets: [{model: large}]}\n"]
    world = World(VALID + "".join(routes))
    first = world.running
    world.apply(VALID + "".join(reversed(routes)))
    response = world.run(world.service.diff(pb.DiffConfigRequest(from_version=first)))
    assert [(c.path, c.before, c.after) for c in response.changes] == [
        ("routes", '["all", "a", "b"]', '["all", "b", "a"]')
    ]


class Files:
    """A reloader on a file."""

    def __init__(self, tmp_path: Path) -> None:
        self.world = World()
        self.path = write(tmp_path / "fairlead.yaml", VALID)
        self.reloader = Reloader(self.path, self.world.loader, self.world.service)

    def change(self, *changed: Changed) -> frozenset[Changed]:
        undecided: frozenset[Changed] = self.world.run(self.reloader.on_change(frozenset(changed)))
        return undecided


def test_a_changed_file_runs_and_is_recorded_with_its_name(tmp_path: Path) -> None:
    files = Files(tmp_path)
    write(files.path, SECOND)
    files.change(Changed.CONFIG)
    entry = files.world.history()[0]
    assert (entry.source, entry.operator, entry.active) == (str(files.path), "", True)
    assert entry.version == files.world.loader.load_text(SECOND).version


def test_a_broken_file_changes_nothing_and_the_log_says_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = Files(tmp_path)
    before = files.world.running
    write(files.path, VALID.replace("provider: local", "provider: nobody"))
    with caplog.at_level(logging.ERROR):
        files.change(Changed.CONFIG)
    assert files.world.running == before
    rejected = files.world.core.commands[-1].config_rejected
    assert (rejected.source, rejected.violations) == (str(files.path), 2)
    assert rejected.first_violation.startswith(f"{files.path}:9: models[0].provider: unknown provider")
    assert next(record.violation for record in caplog.records) == rejected.first_violation  # type: ignore[attr-defined]
    write(files.path, SECOND)
    files.change(Changed.CONFIG)
    assert files.world.running != before


def test_rotated_secrets_are_loaded_and_unreadable_ones_are_not(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.world.environment["TOKEN"] = "token-2"
    files.change(Changed.SECRETS)
    load = files.world.core.loads[-1]
    assert (load.secrets_only, load.secrets.values["tenants/acme/agents/bot"]) == (True, "token-2")
    loads = len(files.world.core.loads)
    del files.world.environment["TOKEN"]
    files.change(Changed.SECRETS)
    assert len(files.world.core.loads) == loads
    assert files.world.applied == ["token-1", "token-2"]


def test_a_file_that_waits_for_its_secret_runs_when_the_secret_is_there(tmp_path: Path) -> None:
    files = Files(tmp_path)
    secret = tmp_path / "token"
    text = VALID.replace("fromEnv: TOKEN", f"fromFile: {secret}")
    write(files.path, text)
    files.change(Changed.CONFIG)
    assert secret in files.reloader.secret_files()
    assert files.world.core.commands[-1].HasField("config_rejected")
    write(secret, "token-3")
    files.change(Changed.SECRETS)
    assert files.world.applied[-1] == "token-3"
    assert files.world.history()[0].version == files.world.loader.load_text(text).version


def test_the_secret_files_of_what_runs_are_watched_wherever_it_came_from(tmp_path: Path) -> None:
    world = World()
    reloader = Reloader(None, world.loader, world.service)
    first, second = write(tmp_path / "first", "token-1"), write(tmp_path / "second", "token-2")
    world.apply(VALID.replace("fromEnv: TOKEN", f"fromFile: {first}"))
    assert reloader.secret_files() == {first}
    world.apply(VALID.replace("fromEnv: TOKEN", f"fromFile: {second}"))
    assert reloader.secret_files() == {second}
    world.rollback()
    assert reloader.secret_files() == {first}
    write(first, "token-3")
    world.run(reloader.on_change(frozenset({Changed.SECRETS})))
    assert world.applied[-1] == "token-3"


def test_secrets_of_what_runs_are_rotated_while_the_file_is_broken(tmp_path: Path) -> None:
    files = Files(tmp_path)
    write(files.path, "colour: red\n")
    files.change(Changed.CONFIG)
    rejected = [command for command in files.world.core.commands if command.HasField("config_rejected")]
    files.world.environment["TOKEN"] = "token-2"
    assert files.change(Changed.SECRETS) == frozenset()
    assert files.world.applied == ["token-1", "token-2"]
    # The file is as it was: that it is refused has been said.
    assert [command for command in files.world.core.commands if command.HasField("config_rejected")] == rejected


@pytest.mark.parametrize("reason", ["STORE_UNAVAILABLE", "QUEUE_FULL", "NOT_READY"])
@pytest.mark.parametrize("text", [SECOND, "colour: red\n"], ids=["valid", "broken"])
def test_a_change_that_meets_what_passes_is_reported_again(tmp_path: Path, reason: str, text: str) -> None:
    files = Files(tmp_path)
    write(files.path, text)
    for _ in range(2):
        files.world.core.reject = command_pb2.Rejection(reason=reason, message="not now")
        assert files.change(Changed.CONFIG) == {Changed.CONFIG}
    assert files.change(Changed.CONFIG) == frozenset()
    if text == SECOND:
        assert files.world.running == files.world.loader.load_text(SECOND).version
    else:
        assert files.world.core.commands[-1].HasField("config_rejected")


def test_a_rotation_that_meets_what_passes_is_reported_again_and_a_refusal_is_not(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.world.environment["TOKEN"] = "token-2"
    files.world.core.reject = FAILED
    assert files.change(Changed.SECRETS) == {Changed.SECRETS}
    assert files.change(Changed.SECRETS) == frozenset()
    assert files.world.applied == ["token-1", "token-2"]
    files.world.core.reject = command_pb2.Rejection(reason="INVALID_ARGUMENT", message="never")
    assert files.change(Changed.SECRETS) == frozenset()
