"""Flags that `fairlead inject` and `fairlead webhook` share: what is true of every sidecar that they add."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version

from fairlead.injection.settings import CHOICES, InvalidSetting, Settings

_HELP = {
    "image": "image of the sidecar (default: fairlead with the version of this program)",
    "pull-policy": "Always, IfNotPresent (default) or Never",
    "config": "ConfigMap with fairlead.yaml (default: fairlead-config)",
    "secret": "Secret that only the sidecar mounts (default: fairlead-secrets); empty for none",
    "agent-token": "SECRET/KEY of the agent's token: agents get it in variables, the sidecar as the file agent-token",
    "agent-containers": "containers that are told about the sidecar, by commas (default: all but init containers)",
    "agent-environment": "whether they get variables at all (default: true)",
    "data-claim": "PersistentVolumeClaim for the data (default: an emptyDir)",
    "data-volume": "volume or claim template of the pod for the data",
    "data-size": "bound of the emptyDir (default: 2Gi)",
    "probes": "http (default): the kubelet calls the health port; exec: it runs fairlead health in the container",
    "grace": "what calls in flight get at a stop (default: 30s)",
    "cpu-request": "default: 100m",
    "memory-request": "default: 192Mi",
    "memory-limit": "default: 384Mi",
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for each setting."""
    group = parser.add_argument_group("the sidecar", "A pod's annotation fairlead/NAME wins over --NAME.")
    for name in CHOICES:
        group.add_argument(f"--{name}", metavar=name.rpartition("-")[2].upper(), help=_HELP[name])


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings; raises InvalidSetting."""
    given = {name: getattr(arguments, name.replace("-", "_")) for name in CHOICES}
    try:
        return Settings(image=default_image()).with_values(
            {name: text for name, text in given.items() if text is not None}
        )
    except InvalidSetting as error:
        raise InvalidSetting(f"--{str(error).lstrip('`').replace('`', '', 1)}") from None


def default_image() -> str:
    """The image of this version; there is no registry that everybody could pull from."""
    try:
        return f"fairlead:{version('fairlead')}"
    except PackageNotFoundError:
        return "fairlead:latest"
