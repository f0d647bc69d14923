"""One line a reading: pool, reader, depth, SAE; what its features and their rivals say of difficulty and flaws."""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import KFold, cross_val_predict

from benchmarks.microcosm.run import read_lines as lines_of
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
from saerl_core.rollouts.measure import measure_pass_rates
from saerl_core.rollouts.same_answers import same_answers
from saerl_core.signals.clusters import cluster_prompts
from saerl_core.signals.corruptions import corrupt_prompts
from saerl_core.signals.difficulty import calibrate_difficulty
from saerl_core.signals.labels import chosen_label, read_labels
from saerl_core.signals.quality import train_quality_probe

RESULTS = Path(__file__).resolve().parent / "results" / "signals.jsonl"
SMOLLM = "smollm2-135m"
TOY = {  # the reader of configs/curate_math.yaml, made on the pool's own text
    "source": "text",
    "hidden_size": 128,
    "n_layers": 4,
    "n_heads": 4,
    "intermediate_size": 384,
    "vocab_size": 2048,
    "pretrain_steps": 300,
    "batch_size": 16,
}
POOLS: Mapping[str, Mapping[str, object]] = {  # prompts, and labels that the probe may see; the others are held out
    "deepscaler": {
        "prompts": {"source": "file", "path": "deepscaler_sub1209.jsonl.gz"},
        "difficulty": {"label": "known_pass_rate", "n_labelled": 600},
    },
    "math": {
        "prompts": {"source": "file", "path": "math_train.jsonl.gz"},
        "difficulty": {"label": "level", "n_labelled": 1500},
    },
    "talscq": {
        "prompts": {"source": "file", "path": "talscq_en_train.jsonl.gz", "columns": {"level": "difficulty"}},
        "difficulty": {"label": "level", "n_labelled": 1500},
    },
    "everyday": {  # the labels are SmolLM2's own pass rates, measured here
        "prompts": {"source": "everyday", "everyday": {"n_train": 600, "n_dev": 0, "level_weights": [4, 2, 2, 1, 1]}},
        "difficulty": {"label": "pass_rate"},
        "pass_rates": {"n_labelled": 300, "n_rollouts": 4, "max_completion_tokens": 48},
    },
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
    Reading("everyday", SMOLLM, 15, 32, 0),
    Reading("talscq", SMOLLM, 15, 32, 0, 2500),
    Reading("talscq", "toy", None, 32, 0, 2500),
    Reading("math", "toy", None, 32, 1, 2500),
    Reading("everyday", SMOLLM, 15, 32, 1),
    Reading("talscq", SMOLLM, 15, 32, 1, 2500),
    Reading("talscq", "toy", None, 32, 1, 2500),
)


def config_of(reading: Reading, data: Path) -> RunConfig:
    """Return the configuration of a reading: everything before a plan, training off."""
    pool = POOLS[reading.pool]
    prompts = dict(pool["prompts"])  # type: ignore[call-overload]
    if "path" in prompts:
        prompts["path"] = str(data / prompts["path"])
    model = {"source": "pretrained", "model": str(state_dir() / "models" / SMOLLM), "train_dequantised": False}
    if reading.pool == "everyday":
        model |= {"chat_template": True, "prompt_suffix": " Think briefly, then write the answer as a number."}
    return validate(
        {
            "seed": reading.sae_seed,
            "policy": TOY if reading.reader == "toy" else model,
            "sae": {"hook_layer": reading.layer, "expansion": 8, "k": reading.k, "train_tokens": 200_000},
            "features": {"max_prompt_tokens": 512, "batch_tokens": 4096},
            "quality": {"n_corruptions": 600},
            "grading": {"kind": "math"},
            "training": {"enabled": False, "max_completion_tokens": 64},
            "evaluation": {"enabled": False},
            "pass_rates": {"max_completion_tokens": 64},
            **pool,
            "prompts": prompts,
        }
    )


def run(
    data: Path,
    say: Callable[[str], None] = print,
    wanted: Sequence[Reading] = WANTED,
    *,
    n_workers: int = 1,
    deadline_s: float | None = None,
) -> bool:
    """Append the lines that the results lack, one as each reading ends; return whether all stand there now.

    `deadline_s`: seconds after which what is still being read is stopped.
    """
    started = time.monotonic()
    done = {line["key"] for line in read_lines()}
    todo = [reading for reading in wanted if reading.key not in done]
    say(f"{len(wanted) - len(todo)} of {len(wanted)} readings stand in {RESULTS.name}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(n_workers, maxtasksperchild=1) as workers:
        running = workers.imap_unordered(partial(_line, data=data), todo)
        for _ in todo:
            left = None if deadline_s is None else max(0.0, deadline_s - (time.monotonic() - started))
            try:
                line = running.next(left)
            except multiprocessing.TimeoutError:
                say(f"stopped after {deadline_s:.0f} s")
                return False
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            say(f"{time.monotonic() - started:.0f} s: {line['key']}")
    return True


def _line(reading: Reading, data: Path) -> dict[str, object]:
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    measured = measure(reading, config_of(reading, data))
    return {"key": reading.key, **asdict(reading), **measured, "device": device}


def read_lines() -> list[dict[str, object]]:
    """Return the lines of the results."""
    return lines_of(RESULTS)


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
    rates = None
    if c.difficulty.label == "pass_rate":
        rates, _ = measure_pass_rates(pool, clusters, policy, c.pass_rates, c.grading, 0)
    _, difficulty = calibrate_difficulty(pool, features, controls, clusters, rates, c.difficulty, 0)
    return {
        "n": len(pool),
        "explained_variance": sae_report.values.get("explained_variance"),
        "difficulty": _scores(difficulty.table),
        "difficulty_held_out": _scores(difficulty.held_out_table),
        "difficulty_values": {k: v for k, v in difficulty.values.items() if "gain" in k},
        "likelihood": likelihood_scores(pool, policy, rates, c),
        "quality": _scores(quality.table),
        "nmi_topic": _nmi(pool, clusters),
        "cpu_read_s": round(read_s, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.perf_counter() - started, 1),
    }


def likelihood_scores(
    pool: pd.DataFrame, policy: PolicyRef, rates: pd.DataFrame | None, c: RunConfig
) -> dict[str, float]:
    """Return Spearman of the label with the reader's likelihood alone: out of fold, linear in its four columns."""
    table = policy_likelihood(pool, policy, c.grading, c.features).table.set_index("prompt_id")
    ordered = pool.sort_values("prompt_id", ignore_index=True)
    config = c.difficulty.model_copy(update={"label": chosen_label(ordered, rates, c.difficulty)})
    seen = read_labels(ordered, rates, config, 0).seen
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
