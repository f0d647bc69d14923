"""One line a reading: pool, reader, depth, SAE; what its features and their rivals say of difficulty and flaws."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import KFold, cross_val_predict

from saerl_core.config.load import validate
from saerl_core.config.run import RunConfig
from saerl_core.environment import state_dir
from saerl_core.features.extract import extract_features
from saerl_core.features.likelihood import policy_likelihood
from saerl_core.features.sae import obtain_sae
from saerl_core.policy.prepare import prepare_policy
from saerl_core.probe_rows import ProbeRow
from saerl_core.prompts.load import load_prompts
from saerl_core.records import PolicyRef
from saerl_core.rollouts.same_answers import same_answers
from saerl_core.signals.clusters import cluster_prompts
from saerl_core.signals.corruptions import corrupt_prompts
from saerl_core.signals.difficulty import calibrate_difficulty
from saerl_core.signals.labels import chosen_label, read_labels
from saerl_core.signals.quality import train_quality_probe

RESULTS = Path(__file__).resolve().parent / "results" / "signals.jsonl"
SMOLLM = "smollm2-135m"
TOY = {  # the reader of configs/curate_math.yaml, made on the pool's own text
    "source": "text", "hidden_size": 128, "n_layers": 4, "n_heads": 4, "intermediate_size": 384, "vocab_size": 2048,
    "pretrain_steps": 300, "batch_size": 16,
}  # fmt: skip
POOLS = {  # file, labels that the probe may see; the others are held out
    "deepscaler": ("deepscaler_sub1209.jsonl.gz", {"label": "known_pass_rate", "n_labelled": 600}),
    "math": ("math_train.jsonl.gz", {"label": "level", "n_labelled": 1500}),
}


@dataclass(frozen=True)
class Reading:
    """What is read by whom. `layer`: the block behind which the SAE reads; None: the reader's middle one."""

    pool: str
    reader: str
    layer: int | None
    k: int
    sae_seed: int
    n_prompts: int | None = None  # the first ones of the pool; None: all

    @property
    def key(self) -> str:
        """Return what a line is found by."""
        return json.dumps(asdict(self), sort_keys=True)


WANTED: Sequence[Reading] = (  # in the order in which they are run: the first lines answer most
    Reading("deepscaler", SMOLLM, 15, 32, 0),
    Reading("deepscaler", "toy", None, 32, 0),
    Reading("deepscaler", SMOLLM, 15, 32, 1),
    Reading("deepscaler", SMOLLM, 10, 32, 0),
    Reading("deepscaler", SMOLLM, 20, 32, 0),
    Reading("deepscaler", SMOLLM, 15, 64, 0),
    Reading("deepscaler", "toy", None, 32, 1),
    Reading("math", SMOLLM, 15, 32, 0, 2500),
    Reading("math", "toy", None, 32, 0, 2500),
    Reading("math", SMOLLM, 15, 32, 1, 2500),
    Reading("math", SMOLLM, 15, 64, 0, 2500),
)


def config_of(reading: Reading, data: Path) -> RunConfig:
    """Return the configuration of a reading: everything before a plan, training off."""
    file, label = POOLS[reading.pool]
    model = {"source": "pretrained", "model": str(state_dir() / "models" / SMOLLM), "train_dequantised": False}
    return validate({
        "seed": reading.sae_seed,
        "prompts": {"source": "file", "path": str(data / file)},
        "policy": TOY if reading.reader == "toy" else model,
        "sae": {"hook_layer": reading.layer, "expansion": 8, "k": reading.k, "train_tokens": 200_000},
        "features": {"max_prompt_tokens": 512, "batch_tokens": 4096},
        "quality": {"n_corruptions": 600},
        "difficulty": label,
        "grading": {"kind": "math"},
        "training": {"enabled": False, "max_completion_tokens": 64},
        "evaluation": {"enabled": False},
        "pass_rates": {"max_completion_tokens": 64},
    })  # fmt: skip


def run(data: Path, say: Callable[[str], None] = print, wanted: Sequence[Reading] = WANTED) -> None:
    """Append the lines that the results lack, one as each reading ends; stop it whenever you like."""
    done = {line["key"] for line in read_lines()}
    for reading in wanted:
        if reading.key in done:
            continue
        say(f"reading {reading.key}")
        line = {"key": reading.key, **asdict(reading), **measure(reading, config_of(reading, data))}
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_lines() -> list[dict[str, object]]:
    """Return the lines of the results."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def measure(reading: Reading, c: RunConfig) -> dict[str, object]:
    """Read the pool and return what its features, and their rivals on the same folds, say."""
    started, cpu = time.perf_counter(), time.process_time()
    pool = load_prompts(c.prompts, 0, same_answers).train
    if reading.n_prompts is not None:
        pool = pool.head(reading.n_prompts)
    folder = state_dir() / "real_lm" / f"{reading.pool}-{reading.reader}-{reading.sae_seed}-{reading.layer}-{reading.k}"
    policy, _ = prepare_policy(c.policy, pool, folder / "policy", 0)
    sae, sae_report = obtain_sae(c.sae, c.features, policy, pool, folder / "sae", c.seed)
    features, controls, _ = extract_features(pool, policy, sae, c.features, c.seed, controls=True)
    read_s = time.process_time() - cpu
    corrupted = corrupt_prompts(pool, c.quality, 0)
    bad, bad_controls, _ = extract_features(corrupted, policy, sae, c.features, c.seed, controls=True)
    _, _, quality = train_quality_probe(
        pool, features, corrupted, bad, c.quality, 0, controls=controls, corrupted_controls=bad_controls
    )
    clusters, _ = cluster_prompts(pool, features, c.clusters, 0, controls)
    _, difficulty = calibrate_difficulty(pool, features, controls, clusters, None, c.difficulty, 0)
    return {
        "n": len(pool),
        "explained_variance": sae_report.values.get("explained_variance"),
        "difficulty": _scores(difficulty.table),
        "difficulty_held_out": _scores(difficulty.held_out_table),
        "difficulty_values": {k: v for k, v in difficulty.values.items() if "gain" in k},
        "likelihood": likelihood_scores(pool, policy, c),
        "quality": _scores(quality.table),
        "nmi_topic": _nmi(pool, clusters),
        "cpu_read_s": round(read_s, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.perf_counter() - started, 1),
    }


def likelihood_scores(pool: pd.DataFrame, policy: PolicyRef, c: RunConfig) -> dict[str, float]:
    """Return Spearman of the label with the reader's likelihood alone: out of fold, linear in its four columns."""
    table = policy_likelihood(pool, policy, c.grading, c.features).table.set_index("prompt_id")
    ordered = pool.sort_values("prompt_id", ignore_index=True)
    config = c.difficulty.model_copy(update={"label": chosen_label(ordered, None, c.difficulty)})
    seen = read_labels(ordered, None, config, 0).seen
    rows = np.flatnonzero(~np.isnan(seen))
    x = np.log(1e-3 + table.loc[ordered["prompt_id"].iloc[rows]].to_numpy())
    folds = KFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(LinearRegression(), x, seen[rows], cv=folds)
    found = {"spearman": float(spearmanr(predicted, seen[rows]).statistic)}
    names = [str(name) for name in table.columns]
    return found | {f"spearman_{n}": float(spearmanr(x[:, i], seen[rows]).statistic) for i, n in enumerate(names)}


def _scores(table: Sequence[ProbeRow]) -> dict[str, dict[str, float]]:
    return {row.features: {**row.scores, "n": row.n} for row in table}


def _nmi(pool: pd.DataFrame, clusters: pd.DataFrame) -> float | None:
    both = pool[["prompt_id", "topic"]].merge(clusters[["prompt_id", "cluster_id"]], on="prompt_id").dropna()
    both = both[both["cluster_id"] >= 0]
    if both["topic"].nunique() < 2:
        return None
    return float(normalized_mutual_info_score(both["topic"], both["cluster_id"]))
