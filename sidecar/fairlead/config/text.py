"""A configuration of several files as one text for the API, and the way back from its lines to the files'."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from fairlead.config.document import TEXT_MAX_BYTES, Document, read
from fairlead.config.loader import config_files
from fairlead.config.paths import select
from fairlead.config.violation import Violation
from fairlead.config.workflow_files import without_workflows


@dataclass(slots=True)
class Joined:
    """The text of a configuration, and those of the workflows that it names by the names it calls them."""

    text: str = ""
    workflows: dict[str, str] = field(default_factory=dict)
    # First line of each file in the text, from 1, and the file.
    _parts: list[tuple[int, str]] = field(default_factory=list)
    # The file of each workflow.
    _files: dict[str, str] = field(default_factory=dict)

    def located(self, found: Violation) -> Violation:
        """A violation that names a line of the text or of a workflow, at its place in the files."""
        if found.file:
            return Violation(self._files.get(found.file, found.file), found.line, found.path, found.message)
        if not self._parts or found.line < 1:
            return Violation(self._parts[0][1] if self._parts else "", found.line, found.path, found.message)
        first, file = self._parts[max(bisect_right(self._parts, found.line, key=lambda part: part[0]) - 1, 0)]
        return Violation(file, found.line - first + 1, found.path, found.message)


def joined(path: Path) -> Joined:
    """The text of a file, or of all files of a directory as documents of one stream, and the texts of their workflows.
    Raises OSError; text that is not UTF-8 is passed on with replacements, for the sidecar to refuse by line."""
    texts = {file: file.read_bytes() for file in config_files(path)}
    whole = Joined()
    lines: list[str] = []
    for file, documents in without_workflows([(file, read(text, str(file))) for file, text in texts.items()]):
        if whole._parts:
            lines.append("---")
        whole._parts.append((len(lines) + 1, str(file)))
        lines.extend(_text(texts[file]).removesuffix("\n").split("\n"))
        for document in documents:
            _add_workflows(whole, document, file)
    whole.text = "\n".join((*lines, ""))
    return whole


def _add_workflows(whole: Joined, document: Document, file: Path) -> None:
    for _, name in select(document.value, "workflows[*].file"):
        if not isinstance(name, str) or not name or "\0" in name:
            # The sidecar says what is wrong with it.
            continue
        found = file.parent / name
        with found.open("rb") as stream:
            whole.workflows[name] = _text(stream.read(TEXT_MAX_BYTES + 1))
        whole._files[name] = str(found)


def _text(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")
