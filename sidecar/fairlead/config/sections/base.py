"""What all sections share: the strict base model, names, labels, lists, and rules that span several fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from fairlead.config.violation import Path

INT64_MAX = (1 << 63) - 1

T = TypeVar("T")
# A YAML list, kept immutable.
Listed = Annotated[tuple[T, ...], Strict(False)]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
# Models may be called as providers call theirs, such as `llama3.1:8b` or `meta/llama-3`.
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
LabelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(max_length=128)]
Labels = dict[LabelName, LabelValue]
# A CEL expression; its source is bounded as in native/expr.
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


def one_or_many(value: Any) -> Any:
    """A single value may be written where a list is meant."""
    return value if isinstance(value, list | tuple) else [value]


def no_repeats(value: tuple[T, ...]) -> tuple[T, ...]:
    """Refuses a list that names something twice."""
    if len(set(value)) != len(value):
        raise PydanticCustomError("repeats", "names something twice")
    return value


OneOrMany = Annotated[tuple[T, ...], Strict(False), BeforeValidator(one_or_many)]


class Section(BaseModel):
    """Base of every model: strict types, no unknown keys, immutable, camelCase keys.

    Errors never carry the input, because the input may be a secret in the wrong place.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
        validate_by_alias=True,
        validate_by_name=False,
        validate_default=False,
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """What is wrong across fields, as (path below this model, message). Checked by the loader after the types."""
        return iter(())


def broken_rules(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every broken rule of a model and all models in it."""
    if isinstance(value, Section):
        for below, message in value.rules():
            yield (*path, *below), message
        for name, field in type(value).model_fields.items():
            yield from broken_rules(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from broken_rules(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from broken_rules(item, (*path, key))


def _refuse(_: Any) -> Any:
    raise PydanticCustomError("unavailable", "is not available in this version")


# A key that the format knows and this version does not serve: refused, because ignoring it would let calls through.
Unavailable = Annotated[Any, BeforeValidator(_refuse)]


def word_or_mapping(value: Any) -> str:
    """Discriminator of a value that is a word or a mapping, such as `deny` or `{downgradeTo: MODEL}`.

    The tags are in angle brackets so that they can be told from keys in the path of an error.
    """
    return "<mapping>" if isinstance(value, dict | Section) else "<word>"


def exactly_one(section: Section, *names: str) -> Iterator[tuple[Path, str]]:
    """The rule that exactly one of the named fields is given."""
    given = sum(getattr(section, name) is not None for name in names)
    if given != 1:
        keys = " or ".join(to_camel(name) for name in names)
        yield (), f"must have exactly one of {keys}" if len(names) > 1 else f"must have {keys}"
