"""The pure function from a pod to the pod with the sidecar."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.injection.pod import NotInjectable, inject
from fairlead.injection.settings import Probes, SecretKey, Settings

from .samples import SETTINGS, WITH_TOKEN, agent, pod

Spec = dict[str, Any]


def sidecar(spec: Spec) -> Spec:
    found: Spec = next(each for each in spec["initContainers"] if each["name"] == "fairlead")
    return found


def volume(spec: Spec, name: str) -> Spec:
    found: Spec = next(each for each in spec["volumes"] if each["name"] == name)
    return found


def test_the_sidecar_starts_before_all_others_and_keeps_running() -> None:
    spec = inject(pod(initContainers=[{"name": "migrate", "image": "m"}]), SETTINGS).spec
    assert [each["name"] for each in spec["initContainers"]] == ["fairlead", "migrate"]
    assert sidecar(spec)["restartPolicy"] == "Always"
    assert sidecar(spec)["startupProbe"]["httpGet"]["path"] == "/readyz"


def test_it_runs_as_a_user_of_its_own_without_any_right() -> None:
    context = sidecar(inject(pod(), SETTINGS).spec)["securityContext"]
    assert context == {
        "runAsNonRoot": True,
        "runAsUser": 7400,
        "runAsGroup": 7400,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_keys_data_and_the_operators_socket_are_mounted_in_the_sidecar_alone() -> None:
    spec = inject(
        agent(volumeMounts=[{"name": "own", "mountPath": "/own"}]) | {"volumes": [{"name": "own"}]}, WITH_TOKEN
    ).spec
    ours = {mount["name"] for mount in sidecar(spec)["volumeMounts"]}
    assert ours == {"fairlead-config", "fairlead-secrets", "fairlead-data"}
    assert [mount["name"] for mount in spec["containers"][0]["volumeMounts"]] == ["own"]
    data = next(mount for mount in sidecar(spec)["volumeMounts"] if mount["name"] == "fairlead-data")
    (setting,) = sidecar(spec)["env"]
    # The socket is in the data directory.
    assert setting["name"] == "FAIRLEAD_DATA" and setting["value"].startswith(f"{data['mountPath']}/")


def test_agents_learn_where_the_sidecar_is_and_get_their_own_token_only() -> None:
    (container,) = inject(pod(), WITH_TOKEN).spec["containers"]
    by_name = {variable["name"]: variable for variable in container["env"]}
    assert by_name["OPENAI_BASE_URL"]["value"] == "http://127.0.0.1:7400/v1"
    assert by_name["ANTHROPIC_BASE_URL"]["value"] == "http://127.0.0.1:7400"
    assert by_name["FAIRLEAD_ENDPOINT"]["value"] == "127.0.0.1:7400"
    for key in ("FAIRLEAD_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        assert by_name[key]["valueFrom"] == {"secretKeyRef": {"name": "support-bot", "key": "token"}}
    projected = volume(inject(pod(), WITH_TOKEN).spec, "fairlead-secrets")["projected"]["sources"]
    token = {"name": "support-bot", "items": [{"key": "token", "path": "agent-token"}]}
    assert projected == [{"secret": {"name": "fairlead-secrets"}}, {"secret": token}]


def test_variables_of_the_container_stay_and_are_warned_of() -> None:
    own = [
        {"name": "OPENAI_BASE_URL", "value": "https://elsewhere"},
        {"name": "ANTHROPIC_API_KEY", "value": "sk-ant-canary"},
    ]
    done = inject(agent(env=own), WITH_TOKEN)
    assert done.spec["containers"][0]["env"][:2] == own
    said = " ".join(done.warnings)
    assert "sets OPENAI_BASE_URL itself" in said and "its own ANTHROPIC_API_KEY" in said
    assert "canary" not in said


def test_only_the_named_containers_are_told() -> None:
    two = pod(containers=[{"name": "agent", "image": "a"}, {"name": "proxy", "image": "p"}])
    spec = inject(two, replace(WITH_TOKEN, agent_containers=("agent",))).spec
    assert ["env" in each for each in spec["containers"]] == [True, False]
    assert "env" not in inject(two, replace(WITH_TOKEN, agent_environment=False)).spec["containers"][0]
    with pytest.raises(NotInjectable, match="no container agnet"):
        inject(two, replace(WITH_TOKEN, agent_containers=("agnet",)))


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        (SETTINGS, {"emptyDir": {"sizeLimit": "2Gi"}}),
        (replace(SETTINGS, data_claim="kept"), {"persistentVolumeClaim": {"claimName": "kept"}}),
    ],
)
def test_where_the_data_is(settings: Settings, source: Spec) -> None:
    assert volume(inject(pod(), settings).spec, "fairlead-data") == {"name": "fairlead-data", **source}


def test_a_volume_of_the_pod_or_of_a_claim_template_can_be_used() -> None:
    settings = replace(SETTINGS, data_volume="kept")
    for spec in (inject(pod(volumes=[{"name": "kept"}]), settings).spec, inject(pod(), settings, ["kept"]).spec):
        assert "kept" in [mount["name"] for mount in sidecar(spec)["volumeMounts"]]
        assert "fairlead-data" not in [each["name"] for each in spec["volumes"]]
    with pytest.raises(NotInjectable, match="no volume kept"):
        inject(pod(), settings)


def test_a_claim_can_be_written_whatever_user_made_it() -> None:
    settings = replace(SETTINGS, data_claim="kept")
    made = inject(pod(), settings).spec["securityContext"]
    assert made == {"fsGroup": 7400, "fsGroupChangePolicy": "OnRootMismatch"}
    assert inject(pod(securityContext={"fsGroup": 12}), settings).spec["securityContext"] == {"fsGroup": 12}
    assert "securityContext" not in inject(pod(), SETTINGS).spec


def test_there_is_time_for_the_agents_and_then_for_what_is_reserved_to_settle() -> None:
    assert inject(pod(), SETTINGS).spec["terminationGracePeriodSeconds"] == 30 + 30 + 10
    assert inject(pod(), replace(SETTINGS, grace_seconds=120)).spec["terminationGracePeriodSeconds"] == 30 + 120 + 10
    assert inject(pod(terminationGracePeriodSeconds=600), SETTINGS).spec["terminationGracePeriodSeconds"] == 600


def test_probes_in_the_container_need_nothing_that_listens_outside_of_it() -> None:
    container = sidecar(inject(pod(), replace(SETTINGS, probes=Probes.EXEC)).spec)
    assert "ports" not in container
    assert {"name": "FAIRLEAD_HEALTH_LISTEN", "value": "127.0.0.1:7402"} in container["env"]
    assert container["readinessProbe"]["exec"]["command"] == ["fairlead", "health"]
    assert container["livenessProbe"]["exec"]["command"] == ["fairlead", "health", "--live"]


def test_the_same_again_changes_nothing_and_the_pod_that_is_given_stays_as_it_is() -> None:
    given = agent(env=[{"name": "A", "value": "b"}])
    before = copy.deepcopy(given)
    first = inject(given, WITH_TOKEN)
    assert first.changed and given == before
    second = inject(first.spec, replace(WITH_TOKEN, image="registry.example/fairlead:9"))
    assert not second.changed and second.spec == first.spec


def test_a_sidecar_that_somebody_wrote_by_hand_is_left_alone() -> None:
    for key in ("containers", "initContainers"):
        spec = pod()
        spec[key] = [*spec.get(key, ()), {"name": "fairlead", "image": "own"}]
        assert not inject(spec, SETTINGS).changed


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (pod(hostNetwork=True), "the node's network"),
        (pod(os={"name": "windows"}), "does not run on Windows"),
        (agent(securityContext={"runAsUser": 7400}), "container agent runs as user 7400"),
        (pod(securityContext={"runAsUser": 7400}), "container agent runs as user 7400"),
        (agent(ports=[{"containerPort": 7400}]), "uses port 7400"),
        (agent(volumeMounts=[{"name": "fairlead-data", "mountPath": "/d"}]), "mounts volume fairlead-data"),
        (
            agent(volumeMounts=[{"name": "kept", "mountPath": "/d"}]) | {"volumes": [{"name": "kept"}]},
            "mounts volume kept",
        ),
        (agent(envFrom=[{"secretRef": {"name": "fairlead-secrets"}}]), "reads Secret fairlead-secrets"),
        (
            agent(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "fairlead-secrets", "key": "openai"}}}]),
            "reads Secret fairlead-secrets",
        ),
        (pod(volumes=[{"name": "kept"}, {"name": "s", "secret": {"secretName": "fairlead-secrets"}}]), "holds Secret"),
        (
            pod(volumes=[{"name": "p", "projected": {"sources": [{"secret": {"name": "fairlead-secrets"}}]}}]),
            "volume p holds Secret fairlead-secrets",
        ),
        (pod(volumes=[{"name": "fairlead-config"}]), "has a volume fairlead-config of its own"),
        ({}, "has no containers"),
        ({"containers": []}, "has no containers"),
        ({"containers": [3]}, "containers of the pod is not a list of objects"),
        (agent(env={"A": "b"}), "env of container agent is not a list of objects"),
        (pod(terminationGracePeriodSeconds="30"), "is not a number"),
    ],
)
def test_what_would_undo_the_custody_of_keys_and_data_is_refused(spec: Spec, said: str) -> None:
    with pytest.raises(NotInjectable, match=said):
        inject(spec, replace(SETTINGS, data_volume="kept"), ["kept"])


def test_a_claim_of_the_sidecar_and_the_token_s_secret_are_nobody_else_s() -> None:
    claim = pod(volumes=[{"name": "own", "persistentVolumeClaim": {"claimName": "kept"}}])
    with pytest.raises(NotInjectable, match="volume own is claim kept"):
        inject(claim, replace(SETTINGS, data_claim="kept"))
    with pytest.raises(NotInjectable, match="keep it in another"):
        inject(pod(), replace(SETTINGS, agent_token=SecretKey("fairlead-secrets", "token")))


def test_all_reasons_are_said_at_once() -> None:
    with pytest.raises(NotInjectable) as refused:
        inject(pod(hostNetwork=True, securityContext={"runAsUser": 7400}), SETTINGS)
    assert str(refused.value).count("; ") == 1


def test_what_lets_an_agent_look_into_the_sidecar_is_warned_of() -> None:
    spec = agent(securityContext={"privileged": True}) | {"shareProcessNamespace": True}
    said = " ".join(inject(spec, SETTINGS).warnings)
    assert "each other's processes" in said and "container agent is privileged" in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9000) | st.sampled_from(["fairlead", "agent", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "env",
                    "ports",
                    "containerPort",
                    "secret",
                    "secretName",
                    "valueFrom",
                    "secretKeyRef",
                    "runAsUser",
                    "sources",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
KEYS = (
    "containers",
    "initContainers",
    "volumes",
    "securityContext",
    "os",
    "hostNetwork",
    "terminationGracePeriodSeconds",
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.booleans())
def test_whatever_a_pod_looks_like_it_is_injected_once_or_refused(spec: Spec, whole: bool) -> None:
    if whole:
        spec = pod() | {key: value for key, value in spec.items() if key != "containers"}
    try:
        done = inject(spec, WITH_TOKEN)
    except NotInjectable:
        return
    assert inject(done.spec, WITH_TOKEN).spec == done.spec
