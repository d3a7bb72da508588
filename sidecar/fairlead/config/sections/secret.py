"""References to secrets. The values are read when they are needed and are never part of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Section, exactly_one
from fairlead.config.violation import Path

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
# Relative paths would mean something else after a rollback or on another machine.
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00\n\r]{0,1023}$")]


class SecretRef(Section):
    """Where a secret is: an environment variable or a file."""

    from_env: EnvironmentName | None = Field(
        default=None, description="name of the environment variable that holds the secret"
    )
    from_file: AbsolutePath | None = Field(
        default=None, description="absolute path of the file that holds the secret; read again when it changes"
    )

    @model_validator(mode="before")
    @classmethod
    def _never_a_value(cls, value: Any) -> Any:
        if not isinstance(value, dict | SecretRef):
            raise PydanticCustomError(
                "secret",
                "must be {fromEnv: NAME} or {fromFile: /PATH}: a secret is never written into the configuration",
            )
        return value

    def rules(self) -> Iterator[tuple[Path, str]]:
        """One place, not two."""
        return exactly_one(self, "from_env", "from_file")
