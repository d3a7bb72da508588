"""The tool that every framework gets, in the shapes of the SDKs."""

from __future__ import annotations

from typing import Any

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CHAT: Any = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": PARAMETERS}}
]
RESPONSES: Any = [
    {"type": "function", "name": "get_weather", "description": "Weather", "parameters": PARAMETERS, "strict": True}
]
MESSAGES: Any = [{"name": "get_weather", "description": "Weather", "input_schema": PARAMETERS}]


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"
