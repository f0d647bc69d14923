"""One answer to each held-out prompt from the policy before and after training, for whoever reads the texts."""

import pandas as pd

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.config.run import EvaluationConfig
from saerl_core.records import PolicyRef
from saerl_core.rollouts.engines import Sampling, make_sampler
from saerl_core.seeds import stage_rng, stage_seed


def paired_answers(
    prompts: pd.DataFrame,
    policies: dict[str, PolicyRef],
    config: EvaluationConfig,
    rollouts: RolloutsConfig,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, list[str]], int]:
    """Draw `config.watch_prompts` usable prompts; return them, a text for each by policy, and the generated tokens.

    All policies answer with the same random numbers. Prompts that do not fit into the first policy's context are left
    out; none may be left.
    """
    usable = prompts[prompts["usable"].astype(bool)].sort_values("prompt_id", ignore_index=True)
    n = min(config.watch_prompts, len(usable))
    chosen = usable.iloc[sorted(stage_rng(seed, "watch").choice(len(usable), n, replace=False))]
    how = Sampling(config.temperature, config.max_completion_tokens, stage_seed(seed, "watch"), config.top_p)
    answers: dict[str, list[str]] = {}
    n_tokens = 0
    for name, policy in policies.items():
        sampler = make_sampler(policy, how, rollouts)
        if not answers:
            chosen = chosen[sampler.fitting([str(p) for p in chosen["prompt"]])].reset_index(drop=True)
        groups = sampler.sample([str(p) for p in chosen["prompt"]], 1, desc=f"answers {name} training")
        answers[name] = [group[0].text for group in groups]
        n_tokens += sampler.n_generated_tokens
    return chosen, answers, n_tokens
