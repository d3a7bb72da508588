"""Manifests as texts, and `fairlead inject`."""

from __future__ import annotations

import difflib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.cli.main import main
from fairlead.injection.manifests import MAX_BYTES, NotReadable, rewrite
from fairlead.injection.pod import NotInjectable
from fairlead.injection.workload import PODS

from .samples import SETTINGS, WITH_TOKEN

TEXT = """\
# The configuration of something else.
apiVersion: v1
kind: ConfigMap
metadata: {name: x,   labels: {a: b}}
data:
  text: |
    hello
    -- not a marker
--- # of the agent
# a Deployment
apiVersion: apps/v1
kind: Deployment
metadata:
  name: support-bot   # its name
spec:
  selector: {matchLabels: {app: support-bot}}
  template:
    metadata:
      labels:
        app: support-bot
    spec:
      # what runs
      containers:
        - name: agent
          image: "registry.example/support-bot:1.4"   # pinned
          env:
            - name: MODE
              value: "0755"
            - {name: LIMIT, value: 'yes'}
      nodeSelector: {disk: ssd}
---
kind: Service
spec:  {odd:     spacing}
"""


def holder(kind: str) -> dict[str, Any]:
    """An object of this kind with one pod."""
    pod: dict[str, Any] = {"metadata": {}, "spec": {"containers": [{"name": "agent", "image": "a"}]}}
    for key in reversed(PODS[kind]):
        pod = {key: pod}
    return {"apiVersion": "v1", "kind": kind, **pod, "metadata": {"name": "x"}}


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    found = document
    for key in PODS[document["kind"]]:
        found = found[key]
    return found


def test_only_lines_of_the_sidecar_are_added() -> None:
    after = rewrite(TEXT, SETTINGS).text
    assert [line for line in difflib.ndiff(TEXT.splitlines(), after.splitlines()) if line.startswith("- ")] == [
        # A marker's own comment moves below it.
        "- --- # of the agent"
    ]
    config, deployment, service = yaml.safe_load_all(after)
    assert (config["data"]["text"], service["kind"]) == ("hello\n-- not a marker\n", "Service")
    pod = deployment["spec"]["template"]
    assert list(pod["spec"])[:2] == ["initContainers", "containers"]
    assert pod["spec"]["containers"][0]["env"][:2] == [
        {"name": "MODE", "value": "0755"},
        {"name": "LIMIT", "value": "yes"},
    ]
    assert pod["metadata"]["labels"] == {"app": "support-bot", "fairlead/sidecar": "true"}


@pytest.mark.parametrize("keys", [2, 4])
@pytest.mark.parametrize("dashes", [0, 2])
def test_the_way_a_document_is_indented_stays(keys: int, dashes: int) -> None:
    k, d = " " * keys, " " * dashes
    text = (
        f"kind: Deployment\nmetadata:\n{k}name: x\nspec:\n{k}template:\n{k * 2}metadata:\n{k * 3}labels:\n{k * 4}a: b\n"
        f"{k * 2}spec:\n{k * 3}containers:\n{k * 3}{d}- name: agent\n{k * 3}{d}  args:\n{k * 3}{d}  {d}- one\n"
        f"{k * 3}{d}  env:\n{k * 3}{d}  {d}- name: A\n{k * 3}{d}  {d}  value: b\n"
        f"{k * 3}nodeSelector:\n{k * 4}disk: ssd\nstatus:\n{k}conditions: null\n"
    )
    after = rewrite(text, SETTINGS).text
    assert [line for line in difflib.ndiff(text.splitlines(), after.splitlines()) if line.startswith("- ")] == []
    assert rewrite(after, SETTINGS).text == after


def test_the_output_as_input_is_the_output() -> None:
    once = rewrite(TEXT, SETTINGS)
    twice = rewrite(once.text, SETTINGS)
    assert (once.changed, twice.changed) == (1, 0)
    assert twice.text == once.text


@pytest.mark.parametrize("kind", PODS)
def test_every_kind_that_holds_pods(kind: str) -> None:
    written = yaml.safe_load(rewrite(yaml.safe_dump(holder(kind)), SETTINGS).text)
    pod = pod_of(written)
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["fairlead"]
    assert pod["metadata"]["labels"]["fairlead/sidecar"] == "true"


def test_a_list_and_json() -> None:
    given = {"apiVersion": "v1", "kind": "List", "items": [holder("Job"), {"kind": "Secret"}, holder("Pod")]}
    done = rewrite(json.dumps(given, indent=2), SETTINGS)
    job, secret, pod = yaml.safe_load(done.text)["items"]
    assert "initContainers" in pod_of(job)["spec"] and "initContainers" in pod_of(pod)["spec"]
    assert secret == {"kind": "Secret"}
    # It was JSON and stays JSON.
    assert json.loads(done.text)["kind"] == "List"


def test_annotations_of_the_pod_win_and_false_means_no() -> None:
    document = holder("Deployment")
    pod_of(document)["metadata"]["annotations"] = {"fairlead/image": "own:1"}
    (container,) = pod_of(yaml.safe_load(rewrite(yaml.safe_dump(document), SETTINGS).text))["spec"]["initContainers"]
    assert container["image"] == "own:1"
    pod_of(document)["metadata"]["annotations"] = {"fairlead/inject": "false"}
    assert rewrite(yaml.safe_dump(document), SETTINGS).changed == 0


def test_only_asked_is_what_the_webhook_does() -> None:
    document = holder("Pod")
    assert rewrite(yaml.safe_dump(document), SETTINGS, only_asked=True).changed == 0
    document["metadata"]["annotations"] = {"fairlead/inject": "true"}
    assert rewrite(yaml.safe_dump(document), SETTINGS, only_asked=True).changed == 1


def test_one_claim_for_several_sidecars_is_warned_of() -> None:
    document = holder("Deployment")
    settings = SETTINGS.with_values({"data-claim": "kept"})
    (said,) = rewrite(yaml.safe_dump(document), settings).warnings
    assert said.startswith("Deployment x: ") and "strategy.type to Recreate" in said
    document["spec"]["strategy"] = {"type": "Recreate"}
    assert rewrite(yaml.safe_dump(document), settings).warnings == []
    document["spec"]["replicas"] = 2
    (said,) = rewrite(yaml.safe_dump(document), settings).warnings
    assert "use a StatefulSet" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [\n", "line 2: "),
        ("a: b\n---\nc: d\nc: e\n", "line 4: "),
        ("kind: Deployment\nmetadata: {name: x}\nspec: {}\n", "Deployment x: there is no spec.template"),
        ("kind: Pod\nmetadata: {name: x}\nspec: {containers: 3}\n", "Pod x: containers of the pod is not a list"),
        ("kind: Pod\nmetadata: {name: x, annotations: [a]}\nspec: {}\n", "metadata.annotations is not an object"),
        (
            "kind: Pod\nmetadata: {generateName: x-, annotations: {fairlead/inject: true}}\n",
            "Pod x-: annotation fairlead/inject",
        ),
        ("kind: StatefulSet\nspec: {template: {spec: {containers: [{name: a}]}}, volumeClaimTemplates: 7}\n", None),
    ],
)
def test_what_cannot_be_done_says_where(text: str, said: str | None) -> None:
    if said is None:
        assert rewrite(text, SETTINGS).changed == 1
        return
    with pytest.raises((NotReadable, NotInjectable)) as refused:
        rewrite(text, SETTINGS)
    assert said in str(refused.value)


def test_aliases_are_neither_counted_out_nor_followed_for_ever() -> None:
    laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    document = f"a0: &a0 [ha]\n{laughs}" + yaml.safe_dump(holder("Pod"))
    assert rewrite(document, SETTINGS).changed == 1
    with pytest.raises(NotInjectable, match="not the shape of its kind"):
        rewrite("&a\nkind: List\nitems: [*a]\n", SETTINGS)


def run(monkeypatch: pytest.MonkeyPatch, text: bytes, *arguments: str) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    return main(["inject", *arguments])


def test_the_command_rewrites_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, TEXT.encode(), "--image", SETTINGS.image, "--agent-token", "support-bot/token") == 0
    out, err = capsys.readouterr()
    assert out == rewrite(TEXT, WITH_TOKEN).text
    assert err == ""


def test_doubts_go_to_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    document = holder("Pod")
    document["spec"]["containers"][0]["env"] = [{"name": "OPENAI_API_KEY", "value": "sk-canary"}]
    assert run(monkeypatch, yaml.safe_dump(document).encode()) == 0
    out, err = capsys.readouterr()
    assert err.startswith("warning: Pod x: container agent has its own OPENAI_API_KEY")
    assert "canary" not in err and yaml.safe_load(out)["spec"]["initContainers"]


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (b"a: [", (), "fairlead inject: stdin: line 1: "),
        (b"\xff", (), "stdin is not UTF-8"),
        (
            b"kind: Pod\nspec: {hostNetwork: true, containers: [{name: a}]}\n---\na: b\n",
            (),
            "Pod (no name): the pod uses",
        ),
        (b"", ("--grace", "soon"), "fairlead inject: --grace must be a time"),
        (b"", ("-f", "/nowhere"), "/nowhere cannot be read: No such file"),
        (b" " * (MAX_BYTES + 1), (), "larger than 16 MiB"),
    ],
)
def test_with_an_error_nothing_is_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: bytes,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert run(monkeypatch, text, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err


def test_a_file_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(TEXT)
    assert main(["inject", "-f", str(file), "--image", SETTINGS.image]) == 0
    assert capsys.readouterr().out == rewrite(TEXT, SETTINGS).text
