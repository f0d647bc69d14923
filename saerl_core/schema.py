"""What a table is declared with: columns of a kind and a range, a key, and the check at every border."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from saerl_core.errors import DataError

Kind = Literal["str", "int", "float", "bool"]


@dataclass(frozen=True)
class Column:
    """One column: its kind, its range (inclusive) and whether it may be missing."""

    kind: Kind
    lo: float | None = None
    hi: float | None = None
    nullable: bool = False
    is_new: bool = False  # nullable, and stored tables of earlier versions lack it: then every value is missing


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table and the key that no two rows share."""

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()

    def empty(self) -> pd.DataFrame:
        """Return a table of no rows with the declared columns and dtypes."""
        return self._empty.copy()

    @cached_property
    def _empty(self) -> pd.DataFrame:
        return self.check(pd.DataFrame({name: [] for name in self.columns}))

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table with exactly the declared columns and dtypes, or raise `DataError`.

        The row order is kept and the index is reset. Undeclared columns are refused.
        """
        frame = frame.assign(**{c: None for c, of in self.columns.items() if of.is_new and c not in frame.columns})
        missing = [c for c in self.columns if c not in frame.columns]
        extra = [str(c) for c in frame.columns if c not in self.columns]
        if missing or extra:
            raise DataError(
                f"table '{self.name}' has missing columns {missing} and undeclared columns {extra}; "
                f"it is declared with {list(self.columns)}"
            )
        typed = {name: self._typed(name, column, frame[name]) for name, column in self.columns.items()}
        out = pd.DataFrame(typed).reset_index(drop=True)
        if self.key and out.duplicated(list(self.key)).any():
            first = out.loc[out.duplicated(list(self.key)), list(self.key)].iloc[0].to_dict()
            raise DataError(f"table '{self.name}' holds key {first} more than once; each {self.key} must be unique")
        return out

    def _typed(self, name: str, column: Column, values: pd.Series) -> pd.Series:
        values = values.reset_index(drop=True)
        n_missing = int(values.isna().sum())
        if n_missing and not column.nullable:
            raise DataError(f"column '{name}' of table '{self.name}' has {n_missing} missing values; none is allowed")
        try:
            typed = _cast(values, column)
        except (TypeError, ValueError) as error:
            raise DataError(f"column '{name}' of table '{self.name}' is not of kind {column.kind}: {error}") from error
        if column.kind in ("int", "float"):
            self._check_range(name, column, typed)
        return typed

    def _check_range(self, name: str, column: Column, values: pd.Series) -> None:
        present = values.dropna().to_numpy(dtype=np.float64)
        if not np.isfinite(present).all():
            raise DataError(f"column '{name}' of table '{self.name}' holds infinite values; all must be finite")
        for bound, broken, word in (
            (column.lo, present < (column.lo if column.lo is not None else -np.inf), "below"),
            (column.hi, present > (column.hi if column.hi is not None else np.inf), "above"),
        ):
            if broken.any():
                value = float(present[broken][0])
                raise DataError(f"column '{name}' of table '{self.name}' holds {value}, which is {word} {bound}")


_DTYPES = {
    "str": pd.StringDtype(na_value=np.nan),
    "int": np.dtype("int64"),
    "bool": np.dtype("bool"),
    "float": np.dtype("float64"),
}


def _cast(values: pd.Series, column: Column) -> pd.Series:
    if values.dtype == _DTYPES[column.kind] and not (column.kind == "str" and column.nullable):
        return values  # most tables have been checked before
    if column.kind == "str":
        return values.astype(object).where(values.notna(), None).astype("str" if not column.nullable else object)
    if column.kind == "bool":
        if not values.isin([True, False]).all():  # astype would read the text "False" as true
            raise TypeError("it holds values other than true and false")
        return values.astype(bool)
    if column.kind == "int":
        if values.dtype.kind == "f" and (values % 1 != 0).any():
            raise ValueError("it holds numbers that are not whole")
        return values.astype("int64")
    return values.astype("float64")
