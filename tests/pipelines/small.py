"""A configuration of the embedded run that goes through every stage in about a minute."""

SMALL = {
    "seed": 2,  # with 0 no group of four answers has both right and wrong ones: training would change nothing
    "prompts": {"task_world": {"n_train": 240, "n_dev": 40, "n_test": 40}},
    "policy": {"pretrain_steps": 80, "sloppy_steps": 10, "batch_size": 32},  # 64 makes it hardly abler
    "sae": {"train_tokens": 20_000, "expansion": 4, "k": 6},
    "quality": {"n_corruptions": 100},
    "clusters": {"n_clusters": 5},
    "pass_rates": {"n_labelled": 40, "n_rollouts": 4},
    "plan": {"strategy": "saerl", "n_steps": 4, "prompts_per_step": 8},
    "training": {"group_size": 4, "save_every_steps": 1},
    "evaluation": {"n_samples": 4, "ks": [1, 4]},
    "control": "none",
}
