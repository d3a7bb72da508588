"""A workflow is a file of its own and a part of the configuration: versioned, watched, told of by file and line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from fairlead.config import Config, ConfigError, Loader, from_canonical, to_engine
from fairlead.config.loader import config_files, read_files
from fairlead.config.reload import Reloader, files_beside
from fairlead.config.text import joined
from fairlead.config.watch import Changed, Watcher
from fairlead.control.errors import Refusal
from fairlead.v1 import config_service_pb2 as pb
from tests.unit.config.samples import ENVIRONMENT, VALID, write
from tests.unit.config.test_service import World

NAMED = VALID + "workflows: [{file: loan.yaml}]\n"
LOAN = """\
name: loan
steps:
  - {id: parse, agent: doc-parser, effect: read}
  - {id: offer, needs: [parse], agent: mailer, onUnknown: fail}
"""


def load(path: Path) -> Config:
    return Loader(None, ENVIRONMENT).load(path).config


def violations(path: Path, compile: list[tuple[str, str]] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Loader(None if compile is None else lambda _: compile, ENVIRONMENT).load(path)
    return [
        str(violation).replace(f"{path.parent if path.is_file() else path}/", "")
        for violation in caught.value.violations
    ]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write(tmp_path / "loan.yaml", LOAN)
    return write(tmp_path / "fairlead.yaml", NAMED)


# Reading -------------------------------------------------------------------------------------------------------------


def test_a_file_means_the_same_as_its_text_in_the_configuration(config: Path) -> None:
    written_out = VALID + "workflows:\n  -\n" + "".join(f"    {line}\n" for line in LOAN.splitlines())
    loader = Loader(None, ENVIRONMENT)
    loaded = loader.load(config)
    assert loaded.version == loader.load_text(written_out).version
    assert [workflow.name for workflow in loaded.config.workflows] == ["loan"]
    assert from_canonical(loaded.canonical) == loaded.config


def test_its_path_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    write(tmp_path / "flows/loan.yaml", LOAN)
    absolute = write(tmp_path / "absolute.yaml", LOAN.replace("name: loan", "name: other"))
    path = write(tmp_path / "f.yaml", NAMED.replace("loan.yaml", f"flows/loan.yaml}}, {{file: {absolute}"))
    assert [workflow.name for workflow in load(path).workflows] == ["loan", "other"]


def test_a_directory_s_workflow_files_are_not_configurations_themselves(config: Path) -> None:
    directory = config.parent
    assert load(directory) == load(config)
    # Also where a ConfigMap is mounted, whose files are links.
    (directory / "..data").mkdir()
    (directory / "loan.yaml").rename(directory / "..data/loan.yaml")
    (directory / "loan.yaml").symlink_to("..data/loan.yaml")
    assert load(directory) == load(config)
    write(directory / "stray.yaml", LOAN)
    assert [line.split(":")[:2] for line in violations(directory)] == [["stray.yaml", "1"], ["stray.yaml", "2"]]


# Violations ----------------------------------------------------------------------------------------------------------


def test_violations_name_the_workflow_s_own_file_and_the_path_inside_it(config: Path) -> None:
    write(
        config.parent / "loan.yaml",
        LOAN.replace("effect: read", "effect: raed, colour: red").replace("name: loan\n", ""),
    )
    write(config, NAMED.replace("input: 2.50", "input: free"))
    assert violations(config) == [
        "fairlead.yaml:10: models[1].price.input: is not a price in USD per million tokens: write a plain decimal "
        "number such as 2.50",
        "loan.yaml:1: name: is missing: unique name",
        "loan.yaml:2: steps[0].colour: unknown key: known are agent, approval, compensate, effect, forEach, id, "
        "idempotencyKey, input, inputSchema, model, needs, onUnknown, output, retry, timeouts, wait, when, workflow",
        "loan.yaml:2: steps[0].effect: must be 'pure', 'read', 'write' or 'side_effect'",
    ]


def test_what_the_native_core_finds_is_led_back_to_file_and_line(tmp_path: Path) -> None:
    names = ("a.b", "a", "loan-2")
    for name in names:
        write(tmp_path / f"{name}.yaml", LOAN.replace("name: loan", f"name: {name}"))
    files = ", ".join(f"{{file: {name}.yaml}}" for name in names)
    path = write(tmp_path / "fairlead.yaml", f"{VALID}workflows: [{files}]\n")
    found = [
        ("workflows.a.b.steps[1].needs", "go round in a circle: parse -> offer -> parse"),
        ("workflows.a.steps[0].input.documents[3]", "reads steps.offer, which has not ended"),
        ('workflows.loan-2.steps[1].input["a \\"b\\" c"].x', "is no expression"),
        ("routes[0]", "can never be reached"),
    ]
    assert violations(path, found) == [
        "a.b.yaml:4: steps[1].needs: go round in a circle: parse -> offer -> parse",
        "a.yaml:3: steps[0].input.documents[3]: reads steps.offer, which has not ended",
        "fairlead.yaml:12: routes[0]: can never be reached",
        'loan-2.yaml:4: steps[1].input.a "b" c.x: is no expression',
    ]


def test_a_broken_value_hides_nothing_else_of_its_workflow(config: Path) -> None:
    seen: list[int] = []

    def compile(engine: bytes) -> list[tuple[str, str]]:
        from fairlead.internal.v1 import engine_config_pb2

        parsed = engine_config_pb2.EngineConfig.FromString(engine)
        seen.append(sum(len(workflow.steps) for workflow in parsed.workflows))
        return [("workflows.loan.steps[1].when", "is no bool")] if parsed.workflows else []

    def lines() -> list[str]:
        with pytest.raises(ConfigError) as caught:
            Loader(compile, ENVIRONMENT).load(config)
        return [f"{violation.line} {violation.path}" for violation in caught.value.violations]

    broken = LOAN.replace("effect: read", "timeouts: {queue: soon}, retry: {attempts: no}")
    write(config.parent / "loan.yaml", broken.replace("agent: mailer", "agent: mailer, when: '1'"))
    assert lines() == ["3 steps[0].retry.attempts", "3 steps[0].timeouts.queue", "4 steps[1].when"]
    # What the graph hangs on cannot be left out: what the core would find then is not so.
    write(config.parent / "loan.yaml", LOAN.replace("needs: [parse]", "need: [parse]"))
    assert lines() == ["4 steps[1].need"]
    assert seen == [2, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "fairlead.yaml:13: workflows[0].file: DIR/loan.yaml cannot be read: No such file or directory"),
        ("name: [\n", "loan.yaml:2: is not YAML: did not find expected node content"),
        ("- name: loan\n", "loan.yaml:1: must be a mapping of keys to values"),
        (f"{LOAN}---\n{LOAN}", "fairlead.yaml:13: workflows[0].file: has several documents (---): a workflow is one"),
        ("# nothing\n", "loan.yaml:1: name: is missing: unique name|loan.yaml:1: steps: is missing: its steps"),
        (f"file: other.yaml\n{LOAN}", "loan.yaml:1: file: names another file: write the workflow itself here"),
        (f"{LOAN}tenants:\n", "loan.yaml:5: tenants: has no value: give it one, or remove the key"),
        (f"# {'x' * (1 << 20)}", "loan.yaml: is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_workflow_is_told_of_once(config: Path, text: str | None, expected: str) -> None:
    file = config.parent / "loan.yaml"
    if text is None:
        file.unlink()
    else:
        write(file, text)
    assert violations(config) == expected.replace("DIR/", "").split("|")


def test_an_entry_is_a_file_or_a_workflow(config: Path) -> None:
    write(config, NAMED.replace("{file: loan.yaml}", "{file: loan.yaml, name: x}, {file: 7}, {fil: loan.yaml}, 3"))
    assert violations(config) == [
        "fairlead.yaml:13: workflows[0].file: stands for the whole workflow: write name into the file",
        "fairlead.yaml:13: workflows[1].file: must be the path of a file",
        "fairlead.yaml:13: workflows[2].fil: unknown key: did you mean file?",
        "fairlead.yaml:13: workflows[2].name: is missing: unique name",
        "fairlead.yaml:13: workflows[2].steps: is missing: its steps",
        "fairlead.yaml:13: workflows[3]: must be a mapping",
    ]


def test_the_same_name_twice_is_said_where_it_is_written_again(config: Path) -> None:
    write(config.parent / "again.yaml", LOAN)
    write(config, NAMED.replace("{file: loan.yaml}", "{file: loan.yaml}, {file: again.yaml}"))
    found = [("workflows.loan.steps[0].agent", "is no queue")]
    assert violations(config, found) == [
        "again.yaml:1: name: the workflow 'loan' is defined twice: first as workflows[0]",
        "loan.yaml:3: steps[0].agent: is no queue",
    ]


def test_names_that_a_workflow_uses_have_to_exist(config: Path) -> None:
    text = "name: loan\ntenants: [acmee]\nunknownTier: high\nsteps:\n" + "".join(
        f"  - {{id: {name}, {what}}}\n"
        for name, what in (
            ("a", "approval: {tier: high}"),
            ("b", "agent: x, onUnknown: {ask: low}"),
            ("c", "workflow: laon"),
            ("d", "workflow: loan"),
            ("e", "model: {route: gtp, prompt: x}"),
            ("f", "model: {route: all, prompt: x}"),
            ("g", "model: {route: large, prompt: x}"),
            ("h", "model: {route: gpt-5, prompt: x}"),
        )
    )
    write(config.parent / "loan.yaml", text)
    write(config, NAMED.replace("{name: all,", "{name: all, match: {model: 'gpt-*'},"))
    found = [("workflows.loan.steps[1].onUnknown", "there is no approval tier `high`")]
    assert violations(config, found) == [
        "loan.yaml:2: tenants[0]: unknown tenant 'acmee': did you mean 'acme'?",
        "loan.yaml:3: unknownTier: unknown approval tier 'high': no approval tier has this name",
        "loan.yaml:5: steps[0].approval.tier: unknown approval tier 'high': no approval tier has this name",
        "loan.yaml:6: steps[1].onUnknown.ask: unknown approval tier 'low': no approval tier has this name",
        "loan.yaml:7: steps[2].workflow: unknown workflow 'laon': did you mean 'loan'?",
        "loan.yaml:9: steps[4].model.route: unknown route or model 'gtp': no route or model has this name",
    ]
    # A route that takes any call takes this one as well.
    write(config, NAMED)
    assert not [line for line in violations(config) if "gtp" in line]


# Versions ------------------------------------------------------------------------------------------------------------


def test_a_definition_is_a_part_of_the_version_and_comes_back_with_it(config: Path) -> None:
    world = World()
    loader = world.loader
    first = loader.load(config)
    world.run(world.service.apply_loaded(first, str(config)))
    write(config.parent / "loan.yaml", LOAN.replace("agent: mailer", "agent: printer"))
    second = loader.load(config)
    world.run(world.service.apply_loaded(second, str(config)))
    assert first.version != second.version
    assert world.core.loads[-1].config.workflows == to_engine(second.config).workflows
    changes = world.run(world.service.diff(pb.DiffConfigRequest(from_version=first.version))).changes
    assert [(change.path, change.before, change.after) for change in changes] == [
        ("workflows[loan].steps[offer].agent", '"mailer"', '"printer"')
    ]
    # The file is long gone: the stored version has the text.
    (config.parent / "loan.yaml").unlink()
    assert world.rollback().version == first.version
    assert world.core.loads[-1].config.workflows == to_engine(first.config).workflows


def test_the_version_of_a_definition_is_the_hash_of_its_meaning(config: Path) -> None:
    (before,) = to_engine(load(config)).workflows
    write(
        config.parent / "loan.yaml",
        "# a comment\n" + LOAN.replace("{id: offer, needs: [parse],", "{needs: [parse], id: offer,"),
    )
    write(config, NAMED + "limits: {openRuns: 7}\n")
    (same,) = to_engine(load(config)).workflows
    assert same == before and json.loads(same.canonical)["name"] == "loan"
    write(config.parent / "loan.yaml", LOAN.replace("[parse]", "[]"))
    (other,) = to_engine(load(config)).workflows
    assert other.version != before.version


@pytest.mark.parametrize("when", ["score > 0.3", "${score > 0.3}", "${ score > 0.3 }"])
def test_a_condition_means_the_same_with_and_without_braces(config: Path, when: str) -> None:
    write(config.parent / "loan.yaml", LOAN.replace("agent: mailer", f"agent: mailer, when: '{when}'"))
    assert to_engine(load(config)).workflows[0].steps[1].when == "score > 0.3"


@pytest.mark.parametrize("when", ["${a} && ${b}", "${a", "${a} "])
def test_a_condition_is_one_expression(config: Path, when: str) -> None:
    write(config.parent / "loan.yaml", LOAN.replace("agent: mailer", f"agent: mailer, when: '{when}'"))
    if when == "${a} ":
        assert load(config).workflows[0].steps[1].when == "a"
    else:
        assert violations(config) == [
            "loan.yaml:4: steps[1].when: must be one expression: a condition is CEL, not a text with ${…} in it"
        ]


def test_braces_in_the_strings_of_a_condition_do_not_end_it(config: Path) -> None:
    write(
        config.parent / "loan.yaml",
        LOAN.replace("agent: mailer", """agent: mailer, when: "${a == '}' && {1: 2}[1] == 2}\""""),
    )
    assert load(config).workflows[0].steps[1].when == "a == '}' && {1: 2}[1] == 2"


# Over the API and while it runs --------------------------------------------------------------------------------------


def test_the_texts_of_workflows_come_along_over_the_api(config: Path) -> None:
    world = World()
    whole = joined(config)
    assert whole.workflows == {"loan.yaml": LOAN}
    entry = world.apply(whole.text, files=whole.workflows)
    assert entry.version == world.loader.load(config).version
    with pytest.raises(Refusal) as caught:
        world.apply(whole.text, files={"loan.yaml": LOAN.replace("id: offer", "id: offer, colour: red")})
    (found,) = caught.value.violations
    assert found.field == "steps[1].colour" and found.description.startswith("loan.yaml line 4: unknown key")
    # A text that is in no directory names a file without bringing it.
    with pytest.raises(Refusal, match="1 violation"):
        world.apply(whole.text)
    assert world.apply(whole.text.replace("loan.yaml", str(config.parent / "loan.yaml"))).version == entry.version


def test_a_directory_is_joined_without_its_workflows_and_violations_find_their_files_again(config: Path) -> None:
    directory = config.parent
    write(directory / "tools.yaml", "tools: [{name: t, effect: read, risk: none}]\n")
    write(directory / "loan.yaml", LOAN.replace("effect: read", "effect: none"))
    whole = joined(directory)
    with pytest.raises(ConfigError) as caught:
        Loader(None, ENVIRONMENT).load_text(whole.text, sent=whole.workflows)
    found = [whole.located(violation) for violation in caught.value.violations]
    assert [(Path(violation.file).name, violation.line, violation.path) for violation in found] == [
        ("tools.yaml", 1, "tools[0].risk"),
        ("loan.yaml", 3, "steps[0].effect"),
    ]
    assert all(Path(violation.file).parent == directory for violation in found)


def test_a_changed_workflow_file_is_a_changed_configuration(config: Path) -> None:
    beside = files_beside(read_files(config))
    assert beside == {config.parent / "loan.yaml"}
    watcher = Watcher(config, lambda: (), listing=lambda path: [*config_files(path), *sorted(beside)])
    write(config.parent / "loan.yaml", LOAN.replace("mailer", "printer"))
    assert [watcher.poll() for _ in range(2)] == [frozenset(), frozenset({Changed.CONFIG})]


def test_a_reload_runs_the_changed_definition_and_follows_the_files_that_are_named_now(config: Path) -> None:
    world = World()
    reloader = Reloader(config, world.loader, world.service)
    assert reloader.beside() == frozenset()
    world.run(reloader.on_change(frozenset({Changed.CONFIG})))
    assert reloader.beside() == {config.parent / "loan.yaml"}
    running = world.running
    write(config.parent / "loan.yaml", LOAN.replace("effect: read", "effect: none"))
    asyncio.run(reloader.on_change(frozenset({Changed.CONFIG})))
    rejected = world.core.commands[-1].config_rejected
    assert rejected.first_violation.startswith(f"{config.parent / 'loan.yaml'}:3: steps[0].effect: must be 'pure'")
    assert world.running == running
    write(config.parent / "loan.yaml", LOAN.replace("mailer", "printer"))
    world.run(reloader.on_change(frozenset({Changed.CONFIG})))
    assert world.core.loads[-1].config.workflows[0].steps[1].task.agent.queue == "printer"
