"""The configuration that comes about: names that are allowed and unique, secrets as references, and two lists for the
reader: what was decided, and what has no equivalent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from fairlead.config.quantities import NANO_PER_USD, USD_MAX
from fairlead.importing.source import number

_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_DURATION = re.compile(r"(\d{1,6})(s|m|h|d|w|mo)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_YEAR_SECONDS = 366 * 86_400
# Headers whose values are versions and never secrets. Of all others nobody can tell: `X-Team` may hold a password.
_VERSION_HEADERS = frozenset(("anthropic-version", "anthropic-beta", "openai-beta"))
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.,=_ -]{0,255}", re.ASCII)
_REFERENCE = "os.environ/"
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)(:|/|$)", re.ASCII)
_ANY_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
# Valid, and nobody answers there.
_NO_URL = "https://address-is-not-a-url.invalid/v1"
_WEIGHT_MAX = 1_000_000
# Dearer than any model: a price that is not known must not let a budget be passed.
UNKNOWN_PRICE = {"input": 1000, "output": 1000}


class Draft:
    """A configuration in the making."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"apiVersion": "fairlead/v1"}
        self.decided: list[str] = []
        self.lost: list[str] = []
        self._taken: dict[str, set[str]] = {}
        # What each variable stands for: a literal of the file, or None for what the environment has by that name.
        self._variables: dict[str, str | None] = {}

    def reserve(self, variables: Iterable[str]) -> None:
        """Variables that mean what they already mean where the file comes from: no literal is put into them."""
        self._variables.update(dict.fromkeys(variables))

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
        """A reference to a secret. A literal one is not repeated: it has to be put into the variable, of which every
        literal has its own."""
        named = reference(value)
        if named is None and value is None:
            named = variable
        if named is not None:
            self.reserve([named])
            return {"fromEnv": named}
        literal, found, following = repr(value), variable, 2
        while self._variables.setdefault(found, literal) != literal:
            found, following = f"{variable}_{following}", following + 1
        self.decide(f"{path} is a literal secret: it is not repeated here, put it into the variable {found}")
        return {"fromEnv": found}

    def header(self, name: str, value: Any, path: str, variable: str) -> Any:
        """A header's value: a reference, unless the header is known to hold a version."""
        if name.lower() in _VERSION_HEADERS and isinstance(value, str) and _VERSION.fullmatch(value):
            return value
        return self.secret(value, path, variable)

    def url(self, value: str, path: str) -> str:
        """A base URL without credentials and query. One without a scheme gets one: https, on this machine http."""
        if not _ANY_SCHEME.match(value):
            scheme = "http" if _LOOPBACK.match(value.lower()) else "https"
            value = f"{scheme}://{value.lstrip('/')}"
            self.decide(f"{path} has no scheme: {scheme}:// is written in front")
        try:
            parts = urlsplit(value)
            host = parts.hostname or ""
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https"):
            self.decide(f"{path} is not an http or https URL: write the true one in place of {_NO_URL}")
            return _NO_URL
        if parts.username is not None or parts.query or parts.fragment:
            self.decide(f"{path} carries credentials or a query: they are left out, use apiKey or headers")
        host = f"[{host}]" if ":" in host else host
        return urlunsplit((parts.scheme, f"{host}{port}", parts.path.rstrip("/"), "", ""))


def reference(value: Any) -> str | None:
    """The environment variable that `os.environ/NAME` names."""
    if not isinstance(value, str) or not value.startswith(_REFERENCE):
        return None
    name = value.removeprefix(_REFERENCE)
    return name if _ENVIRONMENT.fullmatch(name) else None


def references(value: Any) -> Iterator[str]:
    """The environment variables that are named anywhere in a document."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(item)
    named = reference(value)
    if named is not None:
        yield named


def weights(shares: Sequence[Decimal | None]) -> list[int]:
    """Shares as whole weights with the same ratios: 0.7 and 0.3 are 70 and 30. One that is not given is 1, one that is
    0 stays 0 unless all are; what is below a millionth of the largest is rounded up to it."""
    given = [Decimal(1) if share is None else max(share, Decimal(0)) for share in shares]
    if not any(given):
        return [1] * len(given)
    largest = max(given)
    if largest > _WEIGHT_MAX:
        factor = _WEIGHT_MAX / largest
    elif all(share == share.to_integral_value() for share in given):
        factor = Decimal(1)
    else:
        digits = max(2, *(-int(share.normalize().as_tuple().exponent) for share in given))
        factor = min(Decimal(10) ** digits, _WEIGHT_MAX / largest)
    return [min(int((share * factor).to_integral_value(ROUND_CEILING)), _WEIGHT_MAX) for share in given]


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
