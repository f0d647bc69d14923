"""What every section of the configuration is made of."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Positive = Annotated[int, Field(ge=1)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]

MEAN_BENCHMARK = "mean"  # in the scores: the unweighted mean over all benchmarks


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def one_of(names: Iterable[str]) -> AfterValidator:
    """Return the validator of a text that must be one of the names of a table; it refuses as a `Literal` does."""
    known = tuple(names)
    expected = " or ".join(part for part in (", ".join(map(repr, known[:-1])), repr(known[-1])) if part)

    def check(name: str) -> str:
        if name not in known:
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return name

    return AfterValidator(check)
