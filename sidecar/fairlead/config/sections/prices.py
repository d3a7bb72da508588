"""`prices`: books that price the models whose own `price` is not given. Only the prices become part of a version."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from fairlead.config.sections.base import Listed, Section, no_repeats

BookName = Annotated[str, StringConstraints(pattern=r"^[^\x00\n\r]{1,1024}$")]


class Prices(Section):
    """Price books."""

    files: Annotated[Listed[BookName], AfterValidator(no_repeats)] = Field(
        default=(),
        max_length=16,
        description="price books: paths, relative to this file, or `starter`; the first that has a model prices it",
    )
