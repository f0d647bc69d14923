"""Signals of a pool and a base policy: computed once, kept in a folder, without a pipeline around them."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd

from benchmarks.microcosm.arms import run_config
from saerl_core.config.run import RunConfig, VectorsConfig
from saerl_core.config.signals import Space
from saerl_core.disk import write_text
from saerl_core.features.extract import extract_features
from saerl_core.features.likelihood import policy_likelihood
from saerl_core.features.sae import obtain_sae
from saerl_core.features.storage import load_control_features, load_features, save_control_features, save_features
from saerl_core.plan.inputs import PlanInputs
from saerl_core.policy.prepare import prepare_policy
from saerl_core.prompts.load import load_prompts
from saerl_core.records import PolicyRef, PromptFormat, PromptVectors
from saerl_core.rollouts.measure import measure_pass_rates
from saerl_core.rollouts.same_answers import same_answers
from saerl_core.signals.clusters import cluster_prompts
from saerl_core.signals.corruptions import corrupt_prompts
from saerl_core.signals.difficulty import calibrate_difficulty
from saerl_core.signals.quality import train_quality_probe
from saerl_core.signals.vectors import prompt_vectors
from saerl_core.trials.prepare import TrialInputs

_SHARED = ("prompts", "dev", "test")
_SIGNALS = ("quality", "clusters", "difficulty")
_CARD = "card.json"  # written last: it says that the folder is whole
_TRUE_ROLLOUTS = 16  # a prompt, for what only oracles know; not charged to anybody


@dataclass(frozen=True)
class PoolSignals:
    """What all arms of a pool and a base policy share."""

    folder: Path
    config: RunConfig
    tables: dict[str, pd.DataFrame]
    policy: PolicyRef
    label_rollouts: int
    label_tokens: int
    reader: "Reader"  # the model and the SAE that read the prompts
    embedded: dict[str, PromptVectors] = field(default_factory=dict)  # what was asked for so far

    def read_by(self, other: "PoolSignals") -> "PoolSignals":
        """Return the signals of the same pool and policy that rest on the model and the SAE of another base."""
        return replace(self, reader=other.reader, embedded={})

    def inputs(self, split: str, space: Space = "sae", *, oracle: bool = False) -> TrialInputs:
        """Return what trials share, scored on `dev` or `test`; `oracle`: the pool's true pass rates are known."""
        t, folder = self.tables, _signals_folder(self.folder, space, self.reader)
        if not (folder / _CARD).is_file():
            _make(self.config, self.folder, space, self.reader)
        signals = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _SIGNALS}
        prompts = t["prompts"].assign(known_pass_rate=self._true_rates()) if oracle else t["prompts"]
        joined = PlanInputs(prompts=prompts, **signals)
        labels = (0, 0) if space == "random" else (self.label_rollouts, self.label_tokens)
        return TrialInputs(joined, t[split], self.policy, self.config.grading, *labels)

    def _true_rates(self) -> pd.Series:
        path = self.folder / "true_rates.parquet"
        if not path.is_file():
            pool = self.tables["prompts"]
            c = self.config.pass_rates.model_copy(update={"n_labelled": len(pool), "n_rollouts": _TRUE_ROLLOUTS})
            clusters = pd.read_parquet(self.folder / "clusters.parquet")
            rates, _ = measure_pass_rates(pool, clusters, self.policy, c, self.config.grading, self.config.seed + 7)
            rates.to_parquet(path, index=False)
        known = pd.read_parquet(path).set_index("prompt_id")["pass_rate"]
        return self.tables["prompts"]["prompt_id"].map(known).fillna(0.0)

    def embed(self, wanted: VectorsConfig) -> PromptVectors:
        """Return the vectors that a strategy asks for; each kind is made once."""
        key = wanted.model_dump_json()
        if key not in self.embedded:
            self.embedded[key] = self._embedded(wanted)
        return self.embedded[key]

    def _embedded(self, wanted: VectorsConfig) -> PromptVectors:
        c, prompts = self.config, self.tables["prompts"]
        likelihood = None
        if wanted.use_likelihood:
            likelihood = policy_likelihood(prompts, self.policy, c.grading, c.features).table
        features = load_features(self.reader.folder / "features")
        controls = load_control_features(self.reader.folder / "controls")
        return prompt_vectors(prompts, features, controls, likelihood, wanted, c.seed)


@dataclass(frozen=True)
class Reader:
    """A base policy with its SAE, as the reader of a pool: its folder and what it was made with."""

    folder: Path
    config: RunConfig


def _signals_folder(folder: Path, space: Space, reader: Reader) -> Path:
    """Return where quality, clusters and difficulty stand: by who read the prompts, and in which space."""
    own = folder if reader.folder == folder else folder / f"read-by-{reader.folder.name}"
    return own if space == "sae" else own / space


def pool_signals(pool: str, base: int, root: Path) -> PoolSignals:
    """Return the signals of a pool and a base policy; a whole folder is read, another one is made anew."""
    return signals_of(run_config(pool, base), root / f"{pool}-{base}")


def signals_of(c: RunConfig, folder: Path) -> PoolSignals:
    """Return the signals of a configuration; a whole folder is read, another one is made anew."""
    if not (folder / _CARD).is_file():
        _make(c, folder, "sae", Reader(folder, c))
    card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
    policy = PolicyRef(**{**card["policy"], "prompt_format": PromptFormat(**card["policy"]["prompt_format"])})
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _SHARED}
    costs = card["label_rollouts"], card["label_tokens"]
    return PoolSignals(folder, c, tables, policy, *costs, reader=Reader(folder, c))


def _make(c: RunConfig, folder: Path, space: Space, reader: Reader) -> None:
    """Compute everything up to the signals of a space; what is in the folder already is found again, not repeated."""
    own, r = _signals_folder(folder, space, reader), reader.config
    own.mkdir(parents=True, exist_ok=True)
    found = load_prompts(c.prompts, 0, same_answers)
    held_out = pd.concat([found.dev, found.test], ignore_index=True)
    policy, _ = prepare_policy(c.policy, found.train, folder / "policy", c.seed, held_out=held_out)
    eyes, _ = prepare_policy(r.policy, found.train, reader.folder / "policy", r.seed, held_out=held_out)
    sae, _ = obtain_sae(r.sae, r.features, eyes, found.train, reader.folder / "sae", r.seed)
    features, controls, _ = extract_features(found.train, eyes, sae, r.features, r.seed, controls=True)
    corrupted = corrupt_prompts(found.train, c.quality, c.seed)
    bad, bad_controls, _ = extract_features(corrupted, eyes, sae, r.features, r.seed, controls=True)
    quality, _, _ = train_quality_probe(
        found.train,
        features,
        corrupted,
        bad,
        c.quality,
        c.seed,
        controls=controls,
        corrupted_controls=bad_controls,
        space=space,
    )
    clusters, _ = cluster_prompts(found.train, features, c.clusters, c.seed, controls, space)
    rates, report = measure_pass_rates(found.train, clusters, policy, c.pass_rates, c.grading, c.seed)
    difficulty, _ = calibrate_difficulty(
        found.train, features, controls, clusters, rates, c.difficulty, c.seed, space=space
    )
    for name, signal in zip(_SIGNALS, (quality, clusters, difficulty), strict=True):
        signal.to_parquet(own / f"{name}.parquet", index=False)
    if own == folder:
        save_features(features, folder / "features")
        save_control_features(controls, folder / "controls")
        for name, table in zip(_SHARED, (found.train, found.dev, found.test), strict=True):
            table.to_parquet(folder / f"{name}.parquet", index=False)
    card = {
        "policy": asdict(policy),
        "label_rollouts": report.n_rollouts,
        "label_tokens": report.n_generated_tokens,
    }
    write_text(own / _CARD, json.dumps(card, indent=1))
