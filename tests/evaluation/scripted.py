"""A sampler whose completions are known: a policy's path and the prompt say how many are right."""

from saerl_core.records import PolicyRef
from saerl_core.rollouts.completions import Completion
from saerl_core.rollouts.sampler import Sampler

BEFORE, AFTER = PolicyRef("before", "1"), PolicyRef("after", "2")
CORRECT = {"before": [0, 1, 2, 3], "after": [2, 1, 4, 3]}  # of up to 4 completions, by prompt
made: list["ScriptedSampler"] = []


class ScriptedSampler(Sampler):
    def __init__(self, policy: PolicyRef, *, seed: int, **settings: object) -> None:
        self.policy, self.seed, self.settings = policy, seed, settings
        self.n_generated_tokens, self.n_prefill_tokens = 10, 1
        self.asked: list[tuple[list[str], int]] = []
        made.append(self)

    def sample(self, prompts: list[str], n: int, *, desc: str) -> list[list[Completion]]:
        self.asked.append((prompts, n))
        right = [CORRECT[self.policy.path][int(p)] for p in prompts]
        return [[Completion("#7" if j < r else "#8", 2, j == 0) for j in range(n)] for r in right]
