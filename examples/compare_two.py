"""Does a strategy beat a shuffle? Trials of both with the same seeds, and the answer in words."""

import numpy as np
import pandas as pd

from saerl_core import BatchOutcome, Point, Trial, compare_trials, make_curriculum, make_plan, sentence

GROUP_SIZE, N_STEPS, EVERY = 8, 40, 5
PROMPTS = pd.DataFrame({"prompt_id": [f"p{i:03}" for i in range(240)]})
DIFFICULTY = np.linspace(-3.0, 3.0, len(PROMPTS))
HELD_OUT = np.linspace(-3.0, 3.0, 200)


def trial(arm: str, seed: int) -> Trial:
    """Train a toy learner, whose skill grows by what its groups teach; a real trial's log has the same figures."""
    rng = np.random.default_rng(seed)
    plan = make_plan(PROMPTS, arm, prompts_per_step=12, n_steps=N_STEPS, seed=seed)
    curriculum, skill, curve = make_curriculum(plan), -1.5, []
    for step in range(N_STEPS):
        batch = curriculum.next_batch(step)
        hard = DIFFICULTY[[int(name[1:]) for name in batch]]
        correct = rng.binomial(GROUP_SIZE, 1 / (1 + np.exp(hard - skill)))
        rates = correct / GROUP_SIZE
        skill += 0.5 * float(np.mean(rates * (1 - rates)))
        curriculum.observe(BatchOutcome(step, tuple(batch), (GROUP_SIZE,) * len(batch), tuple(correct.tolist())))
        if (step + 1) % EVERY == 0:
            solved = rng.binomial(4, 1 / (1 + np.exp(HELD_OUT - skill)))
            spent = (step + 1) * len(batch) * GROUP_SIZE
            curve.append(Point(step + 1, spent, 50 * spent, float(step), float(solved.mean() / 4)))
    items = pd.DataFrame({"item_id": range(len(HELD_OUT)), "n_samples": 4, "n_correct": solved})
    return Trial(arm, seed, tuple(curve), items)


found = compare_trials([trial(arm, seed) for arm in ("vanilla", "mopps") for seed in range(5)], baseline="vanilla")
for row in found.rows[1:]:
    print(sentence(row, found))
