"""The document as a message for a chat tool's incoming webhook: `text`, and `blocks` for those that know them. Pure.

What agents and people wrote is told, not obeyed: it cannot mention a channel, make a link or break out of its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# As the strictest of the common tools has it for one block.
_TEXT_MAX_CHARACTERS = 2900
_VALUE_MAX_CHARACTERS = 1000
# Name in the document → label.
_FACTS = {
    "tool": "tool",
    "tier": "tier",
    "rule": "rule",
    "workflow": "workflow",
    "run": "run",
    "step": "step",
    "state": "state",
}
_OF_THE_APPROVAL = {"name": "approval", "digest": "digest", "expire_time": "expires"}


def message(document: Mapping[str, Any]) -> dict[str, Any]:
    """The message of a document."""
    data = document["data"]
    head = f"*{safe(data['summary'])}*"
    text = "\n".join([head, *(f"{label}: `{safe(value)}`" for label, value in _lines(data))])[:_TEXT_MAX_CHARACTERS]
    if (link := data.get("link")) is not None:
        # The template is the operator's own, its placeholders are quoted.
        text += f"\n<{link.replace('&', '&amp;')}|open>"
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}


def safe(text: Any) -> str:
    """A text from outside that no chat tool takes for a mention, a link or markup of its own."""
    printable = "".join(char if char.isprintable() else " " for char in str(text)[:_VALUE_MAX_CHARACTERS])
    shown = printable.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("](", "] (").replace("@", "@\u200b").replace("*", "\u2217").replace("`", "'")


def _lines(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, label in _FACTS.items():
        if data.get(name):
            yield label, data[name]
    approval = data.get("approval", {})
    for name, label in _OF_THE_APPROVAL.items():
        if approval.get(name):
            yield label, approval[name]
    missing = approval.get("missing", ())
    if missing:
        yield "missing", ", ".join(f"{quorum.get('count', 0)} of {quorum.get('role', '')}" for quorum in missing)
    if "arguments" in approval:
        yield "arguments", approval["arguments"]
