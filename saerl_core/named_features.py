"""Latents with names: the table that features give and that the page and `saerl explain` read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from saerl_core.schema import Column, TableSchema

FEATURE_NAMES = TableSchema(  # one row a latent that is active in a prompt of the pool
    "feature_names",
    {
        "latent": Column("int", 0),
        "name": Column("str"),  # made of the words that it fires on; two latents may share one
        "n_prompts": Column("int", 0),  # its document frequency: prompts in whose row it is
        "peak": Column("float", 0.0),  # its largest activation
        "examples": Column("str"),  # a line each: the text around the token, which stands in «»
    },
    key=("latent",),
)


def printable(text: str) -> str:
    """Return the text with every character that cannot be printed replaced: no terminal obeys what a prompt says."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


@dataclass(frozen=True)
class FeatureName:
    """What a person reads about a latent; `examples` may be empty."""

    latent: int
    name: str
    n_prompts: int | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedFeatures:
    """Looks latents up; one without a row is called by its number."""

    rows: Mapping[int, FeatureName] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pd.DataFrame | None) -> "NamedFeatures":
        """Read a table `FEATURE_NAMES`; None: of a run that named nothing."""
        if table is None:
            return cls()
        columns = (table["latent"], table["name"], table["n_prompts"], table["examples"])
        found = (
            FeatureName(int(j), str(name), int(n), tuple(str(text).split("\n")))
            for j, name, n, text in zip(*columns, strict=True)
        )
        return cls({row.latent: row for row in found})

    def __getitem__(self, latent: int) -> FeatureName:
        """Return the latent's name."""
        return self.rows.get(latent) or FeatureName(latent, f"#{latent}")
