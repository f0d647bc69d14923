"""An online strategy in a training loop of one's own: ask for a batch, train, tell the rewards, save the state."""

import json
import random
from pathlib import Path

from saerl_core import BatchOutcome, grade, load_prompts, make_curriculum, make_plan

GROUP_SIZE = 8
ROWS = [
    {"prompt": f"How much is {a} times {b}?", "answer": str(a * b), "topic": f"{a}"}
    for a in range(2, 14)
    for b in range(2, 14)
]


class Policy:
    """Stands for a language model and its optimiser: right more often on topics that it has been trained on."""

    def __init__(self) -> None:
        """Know little."""
        self.skill = {str(a): 0.9 / a for a in range(2, 14)}
        self.random = random.Random(0)

    def complete(self, topic: str, answer: str) -> str:
        """Return a completion."""
        right = self.random.random() < self.skill[topic]
        return f"The answer is \\boxed{{{answer if right else self.random.randrange(200)}}}."

    def update(self, topics: list[str], rates: list[float]) -> None:
        """Learn from groups in which some completions were right and some were not."""
        for topic, rate in zip(topics, rates, strict=True):
            self.skill[topic] = min(0.95, self.skill[topic] + 0.1 * rate * (1 - rate))


prompts = load_prompts(ROWS).train.set_index("prompt_id")
plan = make_plan(ROWS, "mopps", prompts_per_step=12, n_steps=20)
curriculum = make_curriculum(plan)
policy, checkpoint = Policy(), Path("curriculum.json")
for step in range(plan.n_steps):
    batch = curriculum.next_batch(step)  # prompt ids; train on exactly these
    rows = prompts.loc[batch]
    correct = []
    for topic, gold in zip(rows["topic"], rows["answer"], strict=True):
        verdicts = grade([policy.complete(topic, gold) for _ in range(GROUP_SIZE)], gold)
        correct.append(sum(verdict.correct is True for verdict in verdicts))
    policy.update(list(rows["topic"]), [n / GROUP_SIZE for n in correct])
    curriculum.observe(BatchOutcome(step, tuple(batch), (GROUP_SIZE,) * len(batch), tuple(correct)))
    checkpoint.write_text(json.dumps(curriculum.state_dict()))  # beside the weights
    n_dead = sum(n in (0, GROUP_SIZE) for n in correct)
    print(f"step {step}: reward {sum(correct) / GROUP_SIZE / len(batch):.2f}, groups without a gradient {n_dead}")

resumed = make_curriculum(plan)  # after a crash: the same plan, the saved state, the next step
resumed.load_state_dict(json.loads(checkpoint.read_text()))
