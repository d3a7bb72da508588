"""Builds all clients as their users would, side by side as far as they do not need each other."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import yaml

from tests.clients.languages import BUF, CLIENTS, PREPARED, ROOT, BuildFailed, Language, check, run

TEMPLATE = ROOT / "buf.gen.yaml"


class Builds:
    """The builds of some clients, begun at once."""

    def __init__(self, languages: Sequence[Language], pool: ThreadPoolExecutor) -> None:
        self.seconds: dict[str, float] = {}
        self._code = pool.submit(self._timed, "generated code", generate, languages)
        # The longest first.
        self._ready: dict[str, Future[None]] = {
            language.name: pool.submit(self._timed, language.name, self._build, language)
            for language in sorted(languages, key=lambda one: one.generated)
        }

    def wait(self, language: Language) -> None:
        """Returns when the client is built. Raises BuildFailed."""
        self._ready[language.name].result()

    def _build(self, language: Language) -> None:
        check(language)
        if language.generated:
            self._code.result()
        for command in language.build:
            run(command, f"the client in {language.name} could not be built")

    def _timed(self, name: str, work: Any, argument: Any) -> None:
        began = time.monotonic()
        work(argument)
        self.seconds[name] = time.monotonic() - began


def generate(languages: Sequence[Language]) -> None:
    """The code of the clients whose plugins are in buf.gen.yaml, new."""
    mine = [language for language in languages if language.generated and not language.missing()]
    if not mine:
        return
    run(PREPARED, "what npm brings could not be installed")
    for language in mine:
        for old in (CLIENTS / language.name).glob("**/gen"):
            if "node_modules" not in old.parts:
                shutil.rmtree(old)
    run((BUF, "lint"), "the protos are not in order")
    run((BUF, "generate", "--template", template_of(mine)), "no code could be generated from proto/")


def template_of(languages: Sequence[Language]) -> str:
    """buf.gen.yaml as it is, but for the plugins of other languages."""
    template = yaml.safe_load(TEMPLATE.read_text())
    places = tuple(f"examples/clients/{language.name}/" for language in languages)
    template["plugins"] = [plugin for plugin in template["plugins"] if plugin["out"].startswith(places)]
    if not template["plugins"]:
        raise BuildFailed(f"buf.gen.yaml has no plugin for {', '.join(places)}")
    return json.dumps(template)
