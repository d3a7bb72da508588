"""Dimensions that tell the instances of a budget or rate limit apart. The tenant is always one of them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Listed, no_repeats

_DIMENSION = re.compile(r"tenant|agent|session|run|step|workload|label:[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)


def _dimension(value: str) -> str:
    if _DIMENSION.fullmatch(value) is None:
        raise PydanticCustomError(
            "dimension", "is not a dimension: write tenant, agent, session, run, step, workload or label:NAME"
        )
    return value


Dimension = Annotated[str, AfterValidator(_dimension)]
Scope = Annotated[Listed[Dimension], AfterValidator(no_repeats)]
