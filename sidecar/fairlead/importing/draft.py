"""The configuration that comes about: names that are allowed and unique, secrets as references, and two lists for the
reader: what was decided, and what has no equivalent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from fairlead.config.quantities import NANO_PER_USD, USD_MAX
from fairlead.importing.source import number

_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_DURATION = re.compile(r"(\d{1,6})(s|m|h|d|w|mo)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_YEAR_SECONDS = 366 * 86_400
# What nobody has to hide: a word or two in a header.
_PLAIN_HEADER = re.compile(r"[A-Za-z0-9._/-]{1,24}( [A-Za-z0-9._/-]{1,24}){0,2}", re.ASCII)
_SECRET_NAME = re.compile(r"auth|key|token|secret|cookie|password|credential")
# Dearer than any model: a price that is not known must not let a budget be passed.
UNKNOWN_PRICE = {"input": 1000, "output": 1000}


class Draft:
    """A configuration in the making."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"apiVersion": "fairlead/v1"}
        self.decided: list[str] = []
        self.lost: list[str] = []
        self._taken: dict[str, set[str]] = {}

    def decide(self, text: str) -> None:
        """Something that the reader should know."""
        if text not in self.decided:
            self.decided.append(text)

    def lose(self, path: str, why: str) -> None:
        """Something that has no equivalent."""
        text = f"{path}: {why}"
        if text not in self.lost:
            self.lost.append(text)

    def add(self, section: str, entry: dict[str, Any]) -> dict[str, Any]:
        """Adds an entry without what is not given."""
        kept = {key: value for key, value in entry.items() if value is not None and value != {} and value != []}
        self.config.setdefault(section, []).append(kept)
        return kept

    def name(self, section: str, wanted: str, *, model: bool = False) -> str:
        """A name that is allowed and not taken yet in its section."""
        allowed = r"[^A-Za-z0-9._:/@-]+" if model else r"[^A-Za-z0-9._-]+"
        base = re.sub(allowed, "-", wanted).strip("-._:/@")[: 100 if model else 50] or "unnamed"
        taken, found, following = self._taken.setdefault(section, set()), base, 2
        while found in taken:
            found, following = f"{base}-{following}", following + 1
        taken.add(found)
        return found

    def secret(self, value: Any, path: str, variable: str) -> dict[str, str]:
        """A reference to a secret. A literal one is not repeated: it has to be put into the variable."""
        if isinstance(value, str) and value.startswith("os.environ/"):
            name = value.removeprefix("os.environ/")
            if _ENVIRONMENT.fullmatch(name):
                return {"fromEnv": name}
        if value is not None:
            self.decide(f"{path} is a literal secret: it is not repeated here, put it into the variable {variable}")
        return {"fromEnv": variable}

    def header(self, name: str, value: Any, path: str, variable: str) -> Any:
        """A header's value: as it is when nobody has to hide it, else a reference."""
        if isinstance(value, str) and _PLAIN_HEADER.fullmatch(value) and not _SECRET_NAME.search(name.lower()):
            return value
        return self.secret(value, path, variable)

    def url(self, value: str, path: str) -> str:
        """A base URL without credentials and query."""
        try:
            parts = urlsplit(value)
            host = parts.hostname or ""
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            return "https://address-is-not-a-url.invalid/v1"
        if parts.username is not None or parts.query or parts.fragment:
            self.decide(f"{path} carries credentials or a query: they are left out, use apiKey or headers")
        host = f"[{host}]" if ":" in host else host
        return urlunsplit((parts.scheme, f"{host}{port}", parts.path.rstrip("/"), "", ""))


def variable(*parts: str) -> str:
    """The name of an environment variable."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(parts)).strip("_").upper()[:100] or "SECRET"
    return f"_{text}" if text[0].isdigit() else text


def seconds(value: Any, least_millis: int, most_seconds: int) -> str | None:
    """A number of seconds as a duration, between what is allowed here."""
    found = number(value)
    if found is None or found <= 0:
        return None
    wanted = min(found, Decimal(most_seconds)) * 1000
    millis = max(int(wanted.to_integral_value(ROUND_CEILING)), least_millis)
    return f"{millis // 1000}s" if millis % 1000 == 0 else f"{millis}ms"


def window(value: Any) -> Any:
    """A period such as `30d` as a budget's window: calendar months as such, others rolling; None when it is neither."""
    if value is None:
        return "lifetime"
    match = _DURATION.fullmatch(str(value))
    if match is None:
        return None
    length, unit = int(match[1]), match[2]
    if unit == "mo":
        return "month" if length == 1 else None
    total = length * _SECONDS[unit]
    return {"rolling": f"{total}s"} if 1 <= total <= _YEAR_SECONDS else None


def per_million(value: Any) -> str | None:
    """USD per token as USD per million tokens, at most six digits after the point, rounded up."""
    found = number(value)
    if found is None or found < 0:
        return None
    return plain((min(found, Decimal(1)) * 1_000_000).quantize(Decimal("0.000001"), ROUND_CEILING))


def usd(value: Any) -> str | None:
    """An amount in USD, at most nine digits after the point, rounded down: a limit must not become wider."""
    found = number(value)
    if found is None or found <= 0:
        return None
    nano = int(min(found, Decimal(USD_MAX)) * NANO_PER_USD)
    return plain(Decimal(nano) / NANO_PER_USD) if nano else None


def plain(value: Decimal) -> str:
    """A number without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def unique(values: Iterable[str]) -> list[str]:
    """The values in order, each once."""
    return list(dict.fromkeys(values))
