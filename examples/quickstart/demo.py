"""`make demo`: the real daemon, three providers that fail on demand, the official SDKs and the gRPC client.

Every scene says what it does and checks what it claims; the demo ends with a verdict and exit code 0 or 1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import model_scenes
import running_scenes
import tool_scenes
from show import Show
from stage import Stage

SCENES: tuple[Callable[[Show], None], ...] = (
    model_scenes.normal_call,
    model_scenes.chain,
    model_scenes.anthropic_sdk,
    model_scenes.weighted_split,
    model_scenes.cache,
    model_scenes.budget,
    model_scenes.policy,
    tool_scenes.tool_call,
    tool_scenes.approval,
    tool_scenes.never_all_three,
    running_scenes.reload,
    running_scenes.crash,
    running_scenes.explain,
    running_scenes.verify,
)


def main() -> int:
    """Sets the stage, runs the scenes, ends every process."""
    with tempfile.TemporaryDirectory(prefix="fairlead-demo-") as directory:
        stage = Stage(Path(directory))
        try:
            stage.start_providers()
            seconds = stage.start_daemon()
            providers = ", ".join(f"{name} on {address}" for name, address in stage.providers.items())
            print(f"fairlead serves on {stage.address} after {seconds:.1f} s; providers: {providers}")
            show = Show(stage)
            for scene in SCENES:
                scene(show)
        finally:
            stage.close()
    print(f"\nFAILED: {'; '.join(show.failed)}" if show.failed else "\nAll claims hold.")
    return 1 if show.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
