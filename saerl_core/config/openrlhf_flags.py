"""Every flag of OpenRLHF 0.11.2 and who sets it: a person in `training.openrlhf.extra_args`, our settings, or nobody.

Each flag of its parser stands in exactly one of three tables; a test compares them with the real parser.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

_OPTIMIZER = {
    "optim": 1,
    "adam.betas": 2,
    "adam.eps": 1,
    "adam.weight_decay": 1,
    "muon.lr": 1,
    "muon.momentum": 1,
    "muon.ns_steps": 1,
    "muon.nesterov": 0,
    "muon.no_nesterov": 0,
}

# Flags that leave the order and the books alone, with the number of their values (None: one or more).
FREE: dict[str, int | None] = {
    **{f"--{model}.{name}": n for model in ("actor", "critic") for name, n in _OPTIMIZER.items()},
    "--actor.aux_loss_coef": 1,
    "--actor.dual_clip": 1,
    "--actor.entropy_coef": 1,
    "--actor.gradient_checkpointing_reentrant": 0,
    "--algo.advantage.is_correction_gating": 1,
    "--algo.advantage.is_correction_level": 1,
    "--algo.advantage.is_correction_mode": 1,
    "--algo.advantage.is_correction_threshold": None,
    "--algo.advantage.no_std_norm": 0,
    "--ckpt.save_hf": 0,
    "--critic.save_value_network": 0,
    "--ds.deepcompile": 0,
    "--ds.experts_implementation": 1,
    "--ds.grad_accum_dtype": 1,
    "--ds.overlap_comm": 0,
    "--ds.param_dtype": 1,
    "--ds.ring_attn_head_stride": 1,
    "--ds.ring_attn_size": 1,
    "--ds.tensor_parallel_size": 1,
    "--ds.use_liger_kernel": 0,
    "--ds.value_head_prefix": 1,
    "--ds.zpg": 1,
    "--logger.tensorboard_dir": 1,
    "--logger.wandb.run_name": 1,  # also the name of TensorBoard's folder
    "--ref.offload": 0,
    "--reward.clip_range": 2,
    "--reward.stop_properly_penalty_coef": 1,
    "--rollout.max_tokens_per_gpu": 1,
    "--rollout.top_p": 1,
    "--train.dynamic_batch_enable": 0,
    "--train.full_determinism_enable": 0,
    "--train.max_tokens_per_gpu": 1,
    "--vllm.enable_prefix_caching": 0,
    "--vllm.enforce_eager": 0,
    "--vllm.sync_backend": 1,
    "--vllm.sync_with_ray": 0,
}

_PLACEMENT = "training.openrlhf.n_nodes, gpus_per_node and colocate"
_SCHEDULE = "training.warmup_steps (constant afterwards)"

# Flags that a setting of ours already gives: what to set instead.
OWNED: dict[str, str] = {
    "--actor.adam.lr": "training.lr",
    "--actor.eps_clip": "training.clip_low",
    "--actor.eps_clip_low_high": "training.clip_low and training.clip_high",
    "--actor.gradient_checkpointing_enable": "training.openrlhf.gradient_checkpointing",
    "--actor.loss_agg_mode": "training.algorithm",
    "--actor.lr_scheduler": _SCHEDULE,
    "--actor.lr_warmup_ratio": _SCHEDULE,
    "--actor.max_norm": "training.max_grad_norm",
    "--actor.min_lr_ratio": _SCHEDULE,
    "--actor.model_name_or_path": "policy.model",
    "--actor.num_gpus_per_node": _PLACEMENT,
    "--actor.num_nodes": _PLACEMENT,
    "--actor.policy_loss_type": "training.algorithm",
    "--algo.advantage.estimator": "training.algorithm",
    "--algo.advantage.gamma": "training.openrlhf.gae_gamma",
    "--algo.advantage.lambd": "training.openrlhf.gae_lambda",
    "--algo.kl.estimator": "training.algorithm",
    "--algo.kl.init_coef": "training.kl_coef",
    "--algo.kl.unbiased_gradient": "training.algorithm",
    "--algo.kl.use_loss": "training.algorithm",
    "--ckpt.max_num": "training.openrlhf.max_checkpoints",
    "--ckpt.save_steps": "training.save_every_steps",
    "--critic.adam.lr": "training.openrlhf.critic_lr",
    "--critic.lr_scheduler": _SCHEDULE,
    "--critic.lr_warmup_ratio": _SCHEDULE,
    "--critic.max_norm": "training.max_grad_norm",
    "--critic.min_lr_ratio": _SCHEDULE,
    "--critic.model_name_or_path": "policy.model",
    "--critic.num_gpus_per_node": _PLACEMENT,
    "--critic.num_nodes": _PLACEMENT,
    "--critic.value_clip": "training.openrlhf.critic_value_clip",
    "--data.max_len": "training.openrlhf.max_prompt_tokens and training.max_completion_tokens",
    "--ds.adam_offload": "training.openrlhf.adam_offload",
    "--ds.attn_implementation": "training.openrlhf.attention",
    "--ds.enable_sleep": "training.openrlhf.colocate",
    "--ds.packing_samples": "training.openrlhf.packing",
    "--ds.zero_stage": "training.openrlhf.zero_stage",
    "--eval.n_samples_per_prompt": "training.eval_n_samples",
    "--eval.steps": "training.eval_every_steps",
    "--eval.temperature": "training.temperature",
    "--ref.num_gpus_per_node": _PLACEMENT,
    "--ref.num_nodes": _PLACEMENT,
    "--reward.overlong_buffer_len": "training.openrlhf.overlong_buffer_tokens",
    "--reward.overlong_penalty_factor": "training.openrlhf.overlong_penalty",
    "--rollout.batch_size": "plan.prompts_per_step",
    "--rollout.max_new_tokens": "training.max_completion_tokens",
    "--rollout.micro_batch_size": "training.openrlhf.rollout_micro_batch",
    "--rollout.n_samples_per_prompt": "training.group_size",
    "--rollout.temperature": "training.temperature",
    "--train.batch_size": "plan.prompts_per_step and training.group_size",
    "--train.colocate_actor_ref": "training.openrlhf.colocate",
    "--train.colocate_all": "training.openrlhf.colocate",
    "--train.colocate_critic_reward": "training.openrlhf.colocate",
    "--train.micro_batch_size": "training.openrlhf.train_micro_batch",
    "--train.seed": "training.seed",
    "--vllm.enable_sleep": "training.openrlhf.colocate",
    "--vllm.gpu_memory_utilization": "training.openrlhf.vllm_memory_frac",
    "--vllm.num_engines": "training.openrlhf.vllm_engines",
    "--vllm.tensor_parallel_size": "training.openrlhf.vllm_tensor_parallel",
}

_FILES = "the driver writes the file of the prompts, already rendered"
_ASYNC = "asynchronous training takes batches before the rewards of the last one are known, off-policy"
_FILTER = (
    "dynamic filtering replaces a prompt by one of the next planned batch, which shifts every batch after it; "
    "training.screen: dynamic leaves such groups out and keeps the order"
)
_GRADER = "the reward comes from the one grader of labels, training and evaluation"
_PLACES = "the driver finds checkpoints and the trained policy where it told the trainer to put them"
_IMAGES = "prompts are texts"
_WANDB = "metrics go to MLflow, and a key on a command line can be read by everybody on the machine"
_WHOLE = "an adapter or quantised weights would be saved, but evaluation loads a whole model"
_EMA = "averaged weights are no part of a checkpoint, so a resumed run would end with other weights"
_ADAPTIVE = "the adaptive KL coefficient is no part of a checkpoint, so a resumed run would go on with another one"

# Flags that would break the plan, the books or a resume: why.
REFUSED: dict[str, str] = {
    "-h": "the trainer would print its help and end",
    "--help": "the trainer would print its help and end",
    "--actor.freeze_visual_encoder": _IMAGES,
    "--algo.dynamic_filtering_enable": _FILTER,
    "--algo.dynamic_filtering_range": _FILTER,
    "--algo.kl.horizon": _ADAPTIVE,
    "--algo.kl.target": _ADAPTIVE,
    "--ckpt.best_metric_key": "saving the best checkpoint deletes others, the one to resume from among them",
    "--ckpt.disable_ds": "without DeepSpeed's checkpoints no run can be resumed",
    "--ckpt.load_enable": "the driver decides whether there is a checkpoint to resume from",
    "--ckpt.max_mem": "deleting by size can delete the checkpoint to resume from",
    "--ckpt.output_dir": _PLACES,
    "--ckpt.path": _PLACES,
    "--critic.freezing_steps": "the first planned batches would train the critic only",
    "--data.apply_chat_template": _FILES,
    "--data.dataloader_num_workers": "the prompt loader asks the driver for each batch and has no workers",
    "--data.disable_fast_tokenizer": "prompts are rendered with the tokenizer that the pipeline loads",
    "--data.image_key": _IMAGES,
    "--data.input_key": _FILES,
    "--data.input_template": _FILES,
    "--data.label_key": _FILES,
    "--data.max_images_per_prompt": _IMAGES,
    "--data.max_samples": "it cuts the file of the prompts, and the planned ones among them; use prompts.max_rows",
    "--data.prompt_dataset": _FILES,
    "--data.prompt_probs": "drawing data sets with probabilities is a random order with repeated prompts",
    "--data.prompt_split": _FILES,
    "--ds.load_in_4bit": _WHOLE,
    "--ds.lora.alpha": _WHOLE,
    "--ds.lora.dropout": _WHOLE,
    "--ds.lora.rank": _WHOLE,
    "--ds.lora.target_modules": _WHOLE,
    "--ds.use_universal_ckpt": "checkpoints are resumed as they were saved, on the same number of GPUs",
    "--eval.dataset": _FILES,
    "--eval.split": _FILES,
    "--local_rank": "Ray numbers the processes",
    "--logger.logging_steps": "every step is reported to the driver",
    "--logger.wandb.group": _WANDB,
    "--logger.wandb.key": _WANDB,
    "--logger.wandb.org": _WANDB,
    "--logger.wandb.project": _WANDB,
    "--reward.model_name_or_path": _GRADER,
    "--reward.normalize_enable": _GRADER,
    "--reward.num_gpus_per_node": _GRADER,
    "--reward.num_nodes": _GRADER,
    "--reward.offload": _GRADER,
    "--reward.remote_url": _GRADER,
    "--rollout.vllm_generate_batch_size": "another number of prompts would be sampled than the plan's batch holds",
    "--train.agent_func_path": "an agent function replaces the reward function, and with it the audit of the order",
    "--train.async_enable": _ASYNC,
    "--train.async_queue_size": _ASYNC,
    "--train.ema_beta": _EMA,
    "--train.enable_ema": _EMA,
    "--train.max_epochs": "one batch of the plan is one optimizer step",
    "--train.num_episodes": "the plan holds every step of every epoch; lengthen it with plan.n_steps",
    "--train.partial_rollout_enable": _ASYNC,
    "--use_ms": "policy and prompts are read from where the pipeline read them",
}

_HOLDS = "training.openrlhf.extra_args holds"


def extra_args_problems(extra_args: Sequence[str]) -> Iterator[str]:
    """Yield one sentence a problem: a flag that is not ours to pass on, misspelt, shortened, or with wrong values.

    OpenRLHF's parser completes a shortened flag by itself, so that `--train.async` would pass a list of forbidden
    names; here a flag must be written in full.
    """
    for flag, values in _groups(extra_args):
        if flag is None:
            yield f"{_HOLDS} '{values[0]}' where a flag is expected; list each flag and each value as its own item"
        elif flag in REFUSED:
            yield f"{_HOLDS} {flag}, but {REFUSED[flag]}; remove it"
        elif flag in OWNED:
            yield f"{_HOLDS} {flag}, which another setting gives; remove it and use {OWNED[flag]}"
        elif flag not in FREE:
            yield _unknown(flag)
        else:
            yield from _wrong_count(flag, len(values))


def _groups(extra_args: Sequence[str]) -> Iterator[tuple[str | None, list[str]]]:
    """Yield each flag with its values; None with the texts that follow no flag."""
    flag: str | None = None
    values: list[str] = []
    for item in extra_args:
        if not _is_flag(item):
            values.append(item)
            continue
        if flag is not None or values:
            yield flag, values
        flag, has_value, value = item.partition("=")
        values = [value] if has_value else []
    if flag is not None or values:
        yield flag, values


def _is_flag(item: str) -> bool:
    """Tell a flag from a value, as argparse does: a negative number is a value."""
    if not item.startswith("-") or item == "-":
        return False
    try:
        float(item)
    except ValueError:
        return True
    return False


def _unknown(flag: str) -> str:
    known = [*FREE, *OWNED, *REFUSED]
    completed = [name for name in known if name.startswith(flag)]
    if completed:
        shown = ", ".join(sorted(completed)[:3]) + (" ..." if len(completed) > 3 else "")
        return f"{_HOLDS} '{flag}', which OpenRLHF's parser would complete to {shown}; write the flag in full"
    near = get_close_matches(flag, known, n=1)
    way_out = f"; did you mean {near[0]}?" if near else "; see `python -m openrlhf.cli.train_ppo_ray --help`"
    return f"{_HOLDS} '{flag}', which OpenRLHF 0.11.2 does not have{way_out}"


def _wrong_count(flag: str, n_values: int) -> Iterator[str]:
    wanted = FREE[flag]
    if (wanted is None and n_values == 0) or (wanted is not None and n_values != wanted):
        told = "at least 1 value" if wanted is None else f"{wanted} value{'s' * (wanted != 1)}"
        yield f"{_HOLDS} {flag} with {n_values} value{'s' * (n_values != 1)}, but it takes {told}; correct the list"
