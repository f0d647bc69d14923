"""What every section of the configuration is made of."""

from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Positive = Annotated[int, Field(ge=1)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]

MEAN_BENCHMARK = "mean"  # in the scores: the unweighted mean over all benchmarks


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true and false where a number is meant: pydantic takes them for 1 and 0, and `yes` is true in YAML."""
        if isinstance(value, bool) and info.field_name is not None:
            kinds = set(_kinds(cls.model_fields[info.field_name].annotation))
            if kinds & {int, float} and bool not in kinds:
                raise PydanticCustomError("int_type" if int in kinds else "float_type", "Input should be a number")
        return value


def _kinds(annotation: object) -> Iterator[object]:
    """Yield the types that an annotation is made of: of `Annotated[int, ...] | None` int and None."""
    yield annotation
    if get_origin(annotation) in (Annotated, Union, UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)


def one_of(names: Iterable[str]) -> AfterValidator:
    """Return the validator of a text that must be one of the names of a table; it refuses as a `Literal` does."""
    known = tuple(names)
    expected = " or ".join(part for part in (", ".join(map(repr, known[:-1])), repr(known[-1])) if part)

    def check(name: str) -> str:
        if name not in known:
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return name

    return AfterValidator(check)
