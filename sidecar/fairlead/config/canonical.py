"""The canonical form: one text for one meaning, and its SHA-256, the version.

JSON with sorted keys and no spaces; defaults filled in; quantities in their one spelling; secrets as references. Key
order, comments, anchors, spelling and the split into files do not change it; the order of lists does.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

from fairlead.config.schema import Config
from fairlead.config.sections.base import Section


def canonical_json(config: Config) -> str:
    """The canonical text of a configuration."""
    return canonical_text(config)


def canonical_text(section: Section) -> str:
    """The canonical text of a configuration or of a part that has a version of its own."""
    dumped = section.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(dumped, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def version_of(canonical: str) -> str:
    """The version, lower-case hex."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def config_version(config: Config) -> str:
    """The version of a configuration."""
    return version_of(canonical_json(config))


def from_canonical(text: str) -> Config:
    """The configuration of a canonical text; raises `pydantic.ValidationError` or `ValueError` when it is none.

    Texts of earlier versions of the program are accepted: what they do not mention gets its default. Their version
    stays the hash of their own text.
    """
    return Config.model_validate(json.loads(text, parse_float=Decimal))
