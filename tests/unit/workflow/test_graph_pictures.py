"""A workflow as picture and text: everything that is said, nothing that breaks out, states of a run on top."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fairlead.config import Loader, to_engine
from fairlead.config.candidates import alone
from fairlead.internal.v1 import workflow_pb2
from fairlead.v1 import amount_pb2, run_pb2
from fairlead.workflow.graph import Graph, Node, StepView, draw_svg, graph_of, mermaid, text, views_of
from fairlead.workflow.graph.states import LOOKS

ROOT = Path(__file__).parents[3]
NOW = 1_800_000_000 * 10**9
FULFIL = """\
name: fulfil
steps:
  - {id: intake, agent: intake, effect: pure}
  - {id: score, needs: [intake], forEach: {in: "${input.documents}", maxParallel: 8, quorum: 3}, agent: scorer}
  - {id: fraud, needs: [intake], model: {route: careful, prompt: x, output: json}}
  - {id: review, needs: [fraud, score, intake], when: "steps.fraud.output.s > 0.3 && '<' != ''",
     approval: {tier: high}}
  - {id: pay, needs: [review], when: "true", agent: payments, effect: write, idempotencyKey: "pay/${input.id}",
     compensate: refund}
  - {id: settled, needs: [pay], wait: {signal: settled, timeout: 3d}}
  - {id: pause, needs: [pay], wait: {for: 90m}}
  - {id: due, needs: [pay], wait: {until: "${input.due}"}}
  - {id: end, needs: [settled, pause, due], workflow: shipping}
"""


def definition(path: Path) -> workflow_pb2.WorkflowDefinition:
    return to_engine(Loader(None, None).check(alone([path])).config).workflows[0]


@pytest.fixture
def fulfil(tmp_path: Path) -> workflow_pb2.WorkflowDefinition:
    path = tmp_path / "fulfil.yaml"
    path.write_text(FULFIL)
    return definition(path)


def svg_texts(drawn: str) -> list[str]:
    root = ElementTree.fromstring(drawn)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_edges_that_follow_from_others_are_not_drawn(fulfil: workflow_pb2.WorkflowDefinition) -> None:
    edges = graph_of(fulfil).edges()
    assert ("fraud", "review") in edges and ("intake", "review") not in edges
    circle = Graph("circle", (Node("a", "agent", needs=("b",)), Node("b", "agent", needs=("a", "nowhere"))))
    assert [node.id for node in circle.in_order()] == ["a", "b"]
    assert circle.edges() == [("a", "b")]
    assert "a" in draw_svg(circle) and "a" in mermaid(circle) and "a" in text(circle)


def test_the_picture_says_what_every_step_is(fulfil: workflow_pb2.WorkflowDefinition) -> None:
    texts = svg_texts(draw_svg(fulfil))
    for said in (
        "fulfil", "intake", "queue intake", "careful → json", "input.documents", "8 at once · 3 have to succeed",
        "tier high", "write", "side effect", "pay/${input.id}", "queue refund", "for signal settled, at most 3 d",
        "for 1 h 30 min", "until input.due", "run of shipping",
    ):  # fmt: skip
        assert said in texts, said
    assert " ".join(texts).count("steps.fraud.output.s > 0.3") == 1
    # The legend names the kinds that are there.
    assert texts[-5:] == ["agent", "model", "approval", "wait", "workflow"]


def test_what_is_too_long_for_a_card_is_cut_and_told_whole_to_the_pointer(tmp_path: Path) -> None:
    condition = " || ".join(f"input.condition_number_{number} == {number}" for number in range(12))
    path = tmp_path / "long.yaml"
    path.write_text(f"name: {'n' * 63}\nsteps: [{{id: {'s' * 60}, when: '{condition}', agent: {'q' * 63}}}]\n")
    drawn = draw_svg(definition(path))
    root = ElementTree.fromstring(drawn)
    (title,) = root.iter("{http://www.w3.org/2000/svg}title")
    assert condition in (title.text or "") and "s" * 60 in (title.text or "")
    cut = [said for said in svg_texts(drawn) if said.endswith("…")]
    assert len(cut) == 4
    assert float(root.attrib["width"]) < 800


def test_no_text_breaks_out_of_a_picture(tmp_path: Path) -> None:
    hostile = Node(
        "a",
        "agent",
        subject='"]; click a \x00\x1b[31m"javascript:x" <script>&amp;',
        when="]]> --> end\n---\n%%{init}%%",
    )
    graph = Graph('x"\n---\nfoo: bar', (hostile, Node("end", "wait", needs=("a",), when='"|<b>')))
    drawn = draw_svg(graph, {"a": ("leased", "</text><script>alert(1)</script>")})
    root = ElementTree.fromstring(drawn)
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert "\x1b" not in text(graph) + drawn + mermaid(graph)
    lines = mermaid(graph, {"a": ("leased", 'x"]\nclick a href "javascript:x"')}).splitlines()
    assert lines[:3] == ["---", 'title: "x\' --- foo: bar"', "---"]
    assert not any(line.strip().startswith(("click", "%%", "end")) for line in lines)
    assert all("<script" not in line and 'javascript:x"' not in line for line in lines)


def test_the_flowchart_has_shapes_conditions_and_subgraphs(fulfil: workflow_pb2.WorkflowDefinition) -> None:
    drawn = mermaid(fulfil)
    assert drawn.startswith('---\ntitle: "fulfil"\n---\nflowchart TB\n')
    assert '  s_intake["<b>intake</b><br/>queue intake"]\n' in drawn
    assert '  s_fraud{{"<b>fraud</b><br/>careful → json"}}\n' in drawn
    assert '  s_settled(["<b>settled</b><br/>for signal settled, at most 3 d"])\n' in drawn
    assert '  s_end[["<b>end</b><br/>run of shipping"]]\n' in drawn
    assert (
        '  subgraph s_score_items ["for each input.documents · 8 at once · 3 have to succeed"]\n'
        '    s_score["<b>score</b><br/>queue scorer<br/>side effect"]\n  end\n'
    ) in drawn
    assert "  s_score_items -.-> s_review\n" in drawn and '  s_review -. "true" .-> s_pay\n' in drawn
    assert re.search(r's_review\[/"<b>review</b><br/>tier high<br/><i>when steps\.fraud\.output\.s #62; 0\.3', drawn)


def test_ids_are_never_words_or_lines_of_the_flowchart() -> None:
    graph = Graph("x", (Node("end", "agent"), Node("a--b", "agent", needs=("end",))))
    assert mermaid(graph).endswith("  s_end --> s_aX2DX2Db\n")


def test_the_terminal_s_view_has_a_line_for_each_step_in_order(fulfil: workflow_pb2.WorkflowDefinition) -> None:
    head, *lines = text(fulfil).splitlines()
    assert head.startswith("fulfil · 9 steps · version ")
    assert [line.split()[0] for line in lines] == [
        "intake", "score", "fraud", "review", "pay", "settled", "pause", "due", "end"
    ]  # fmt: skip
    assert lines[1].split("  ")[-1] == "side effect · for each input.documents (8 at once · 3 have to succeed)"
    assert "← fraud, score, intake" in lines[3]


def test_every_state_has_a_look() -> None:
    names = [name.removeprefix("STEP_STATE_").lower() for name in run_pb2.StepState.DESCRIPTOR.values_by_name]
    assert set(names) - {"unspecified"} == set(LOOKS)
    assert len({look.sign for look in LOOKS.values()}) == len(LOOKS)


def test_a_run_is_drawn_over_its_workflow(fulfil: workflow_pb2.WorkflowDefinition) -> None:
    states = {
        "intake": StepView("succeeded", "", 1, 1_200_000),
        "score": StepView("leased", "", 5, 0, "17 of 40 items"),
        "fraud": StepView("failed", "", 3, 30_000_000, "BAD_INPUT"),
        "review": StepView("waiting_approval", "asks finance"),
    }
    drawn = draw_svg(fulfil, states)
    texts = svg_texts(drawn)
    for said in (
        "succeeded",
        "$0.0012",
        "17 of 40 items",
        "3 attempts · $0.03 · BAD_INPUT",
        "waiting approval",
        "asks finance",
    ):
        assert any(said in each for each in texts), said
    assert "s-failed-line" in drawn and "#cf222e" in drawn
    lines = text(fulfil, states).splitlines()[1:]
    assert re.fullmatch(r"  ✓ intake +agent queue intake +succeeded +1 attempt +\$0\.0012", lines[0])
    assert re.fullmatch(r"  ✗ fraud +model careful → json +failed +3 attempts +\$0\.03 +BAD_INPUT", lines[2])
    # What is not mentioned has not begun.
    assert re.fullmatch(r"  · end +workflow run of shipping +blocked", lines[-1])
    assert "class s_fraud failed" in mermaid(fulfil, states)
    # The pair that is documented is enough.
    assert draw_svg(fulfil, {"intake": ("succeeded", "done")}) == draw_svg(
        fulfil, {"intake": StepView("succeeded", "done")}
    )


def step(id: str, kind: str, state: str, **fields: Any) -> run_pb2.Step:
    kinds, states = run_pb2.StepKind, run_pb2.StepState
    return run_pb2.Step(
        id=id, kind=kinds.Value(f"STEP_KIND_{kind}"), state=states.Value(f"STEP_STATE_{state}"), **fields
    )


def run() -> run_pb2.Run:
    cents, mills = amount_pb2.Amount(nano_usd=5_000_000), amount_pb2.Amount(nano_usd=1_000_000)
    steps = [
        step("parse", "AGENT", "SUCCEEDED", queue="doc-parser", attempts=2, spent=cents, replayed=True),
        step("score", "FOR_EACH", "WAITING", needs=["parse"], items_total=40, items_succeeded=17),
        step("score[1]", "AGENT", "SUCCEEDED", attempts=1, spent=mills),
        step("score[2]", "AGENT", "LEASED", attempts=2),
        step("signed", "WAIT", "WAITING", signal="signed", needs=["parse"]),
        step("offer", "AGENT", "RETRY_WAIT", queue="mailer", needs=["score", "signed"], attempts=1,
             failure=run_pb2.Failure(code="MAIL_DOWN")),
        step("review", "APPROVAL", "WAITING_APPROVAL", approval="approvals/apr_1"),
        step("late", "AGENT", "LEASED", queue="x", worker="w-1"),
        step("sub", "WORKFLOW", "WAITING", child="runs/run_2"),
    ]  # fmt: skip
    found = run_pb2.Run(name="runs/run_1", workflow="loan", steps=steps)
    by_id = {step.id: step for step in found.steps}
    by_id["signed"].due_time.FromNanoseconds(NOW + (2 * 86_400 + 3 * 3_600 + 5) * 10**9)
    by_id["offer"].due_time.FromNanoseconds(NOW + 12_400 * 10**6)
    by_id["review"].due_time.FromNanoseconds(NOW + 90 * 60 * 10**9)
    by_id["late"].due_time.FromNanoseconds(NOW - 1)
    return found


def test_a_run_s_steps_say_how_they_fare() -> None:
    assert views_of(run(), NOW) == {
        "parse": StepView("succeeded", "", 2, 5_000_000, "replayed"),
        "score": StepView("waiting", "", 3, 1_000_000, "17 of 40 items"),
        "signed": StepView("waiting", "", 0, 0, "signal signed · 2 d 3 h left"),
        "offer": StepView("retry_wait", "", 1, 0, "12.4 s left · MAIL_DOWN"),
        "review": StepView("waiting_approval", "", 0, 0, "approvals/apr_1 · 1 h 30 min left"),
        "late": StepView("leased", "", 0, 0, "worker w-1 · due"),
        "sub": StepView("waiting", "", 0, 0, "runs/run_2"),
    }


def test_a_run_is_drawn_without_its_definition_too() -> None:
    drawn = run()
    views = views_of(drawn, NOW)
    assert "signal signed · 2 d 3 h left" in svg_texts(draw_svg(drawn, views))
    lines = text(drawn, views).splitlines()
    assert lines[0] == "loan · runs/run_1" and len(lines) == 8
    assert "s_score --> s_offer" in mermaid(drawn, views)


def test_the_picture_is_the_same_in_every_process(fulfil: workflow_pb2.WorkflowDefinition, tmp_path: Path) -> None:
    stored = tmp_path / "definition"
    stored.write_bytes(fulfil.SerializeToString())
    program = (
        "import sys; from fairlead.workflow import graph; from fairlead.internal.v1 import workflow_pb2 as pb;"
        "w = pb.WorkflowDefinition.FromString(open(sys.argv[1], 'rb').read());"
        "sys.stdout.write(graph.draw_svg(w) + graph.mermaid(w) + graph.text(w))"
    )
    drawn = [
        subprocess.run(
            [sys.executable, "-c", program, str(stored)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout.decode()
        for seed in ("1", "2")
    ]
    assert drawn[0] == drawn[1] == draw_svg(fulfil) + mermaid(fulfil) + text(fulfil)
