"""An error inside a strategy's own code, told by the strategy's name: it may come from another package."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from saerl_core.errors import DataError, SaerlError


@contextmanager
def blamed(strategy: str, doing: str) -> Iterator[None]:
    """Turn what a strategy raises into a `DataError` with its name, what it was doing and the line; ours stay."""
    try:
        yield
    except SaerlError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(
            f"strategy '{strategy}' failed {doing}: {type(error).__name__}: {error} (line {last.lineno} of "
            f"{last.filename}); correct it there, or take another strategy"
        ) from error
