"""From one's own prompts to a training order: python examples/plan_my_prompts.py [FILE]."""

import sys
from pathlib import Path

from saerl_core import load_prompts, make_plan, save_plan

# a file that `saerl inspect` can read, or rows; pass_rate or level tells the difficulty
ROWS = [
    {"question": f"How much is {a} times {b}?", "answer": str(a * b), "topic": f"table of {a}", "level": a + b}
    for a in range(2, 10)
    for b in range(2, 18)
]

prompts = load_prompts(sys.argv[1] if len(sys.argv) > 1 else ROWS)
print(f"{int(prompts.train['usable'].sum())} of {len(prompts.train)} prompts can be used")
for note in prompts.report.notes:
    print("-", note)

topics = "topic" if prompts.train["topic"].notna().any() else None
plan = make_plan(prompts, {"name": "saerl", "mix_frac": 0.25}, prompts_per_step=8, clusters=topics)
for note in plan.notes:
    print("-", note)

print(plan.table.merge(prompts.train[["prompt_id", "prompt"]]).head(10).to_string(index=False))
print(plan.decisions["reason"].value_counts().to_string())

folder = Path("my_plan")
save_plan(plan, folder)
print(f"{plan.n_steps} steps in {folder}/plan.parquet")
