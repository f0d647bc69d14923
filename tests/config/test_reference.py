"""docs/settings.md says what the configuration says."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from saerl_core.config.reference import settings_page
from saerl_core.config.run import RunConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == settings_page(), "write it again: python -m pipelines settings --write"


def _values(section: BaseModel):
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel) and name != "strategy":
            yield from _values(value)
        else:
            yield name


def test_every_setting_is_on_it():
    rows = settings_page().splitlines()
    for name in set(_values(RunConfig())) - {"arms", "benchmarks"}:  # these list sections, with a table each
        assert any(row.startswith(f"| `{name}` |") for row in rows), name
    assert {"## `prompts`", "### `compare.arms[]`"} <= set(rows)


@pytest.mark.parametrize(
    "row",
    [
        '| `source` | `train` or `load` | `"train"` |  |',
        "| `n_steps` | whole number ≥ 1, ≤ 1,000,000 or null | `120` | null: one epoch |",
        "| `name` | text | must be set | as it stands in the scores; letters, digits and . _ - |",
        '| `strategy` | name of a strategy, or a section with `name` and its settings | `"adaptive"` | ',
    ],
)
def test_a_row_has_kind_bounds_default_and_the_comment(row):
    assert any(line.startswith(row) for line in settings_page().splitlines())
