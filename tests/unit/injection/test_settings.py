"""Flags and annotations: what they set, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.injection.settings import CHOICES, InvalidSetting, Probes, PullPolicy, SecretKey, asked

from .samples import SETTINGS


def test_every_setting_can_be_given_as_an_annotation() -> None:
    given = {
        "image": "r.example/f@sha256:0123",
        "pull-policy": "Always",
        "config": "c",
        "secret": "s",
        "agent-token": "a/t",
        "agent-containers": "one, two",
        "agent-environment": "false",
        "data-claim": "kept",
        "data-size": "5Gi",
        "probes": "exec",
        "grace": "2s",
        "cpu-request": "0.5",
        "memory-request": "64Mi",
        "memory-limit": "1G",
    }
    assert set(given) | {"data-volume"} == set(CHOICES)
    made = SETTINGS.with_annotations({f"fairlead/{name}": value for name, value in given.items()})
    assert (made.pull_policy, made.probes, made.agent_token) == (PullPolicy.ALWAYS, Probes.EXEC, SecretKey("a", "t"))
    assert (made.agent_containers, made.agent_environment, made.grace_seconds) == (("one", "two"), False, 2)
    assert (made.image, made.config, made.secret, made.data_claim) == ("r.example/f@sha256:0123", "c", "s", "kept")
    assert (made.data_size, made.cpu_request, made.memory_request, made.memory_limit) == ("5Gi", "0.5", "64Mi", "1G")
    assert SETTINGS.with_annotations({"fairlead/secret": ""}).secret is None


def test_a_place_for_the_data_takes_the_place_of_the_other() -> None:
    claim = SETTINGS.with_values({"data-claim": "kept"})
    volume = claim.with_values({"data-volume": "own"})
    assert (volume.data_claim, volume.data_volume) == (None, "own")
    assert volume.with_values({"data-claim": "kept"}) == claim


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("imagge", "x", "`imagge` is not one of image,"),
        ("image", "x y", "must be the name of an image"),
        ("agent-token", "token", "must be SECRET/KEY"),
        ("agent-containers", "a,,b", "must be names of containers"),
        ("agent-environment", "yes", "must be true or false"),
        ("data-claim", "Kept", "must be the name of a PersistentVolumeClaim"),
        ("grace", "0s", "must be a time from 1s to 3600s"),
        ("grace", "20", "must be a time"),
        ("memory-limit", "lots", "must be a quantity"),
        ("probes", "grpc", "must be one of http, exec"),
        ("secret", "../x", "must be the name of a Secret"),
        ("grace", 20, "is not a text: write its value in quotes"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        SETTINGS.with_annotations({f"fairlead/{name}": value})


def test_two_places_for_the_data_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="exclude each other"):
        SETTINGS.with_values({"data-claim": "a", "data-volume": "b"})


def test_annotations_of_others_are_theirs() -> None:
    assert SETTINGS.with_annotations({"prometheus.io/scrape": "true", "fairlead/inject": "true"}) == SETTINGS


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("false", False), (None, None)])
def test_whether_a_pod_asks(value: str | None, wanted: bool | None) -> None:
    assert asked({} if value is None else {"fairlead/inject": value}) is wanted


@pytest.mark.parametrize("value", ["yes", "", True, 1, ["true"]])
def test_an_answer_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidSetting, match=r'must be "true" or "false"'):
        asked({"fairlead/inject": value})
