"""Training a TopK SAE with sae-lens on the pool's own activations."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from saerl_core.config.run import SaeConfig
from saerl_core.errors import ConfigError
from saerl_core.features.sae_lens_import import quiet_sae_lens
from saerl_core.progress import track

if TYPE_CHECKING:
    import torch
    from sae_lens import SAETrainer

_CURVE_POINTS = 100
_SCALE_BATCHES = 32  # batches that the norm and the mean of the activations are estimated on


@dataclass(frozen=True)
class SaeTraining:
    """What is known before the first step."""

    d_in: int
    hook_layer: int
    model_name: str
    prepend_bos: bool
    context_size: int
    seed: int
    device: str


def check_width(config: SaeConfig, d_in: int) -> int:
    """Return d_sae = expansion x d_in; `ConfigError` when k active latents would not be a sparse choice of them."""
    d_sae = config.expansion * d_in
    if config.k >= d_sae:
        raise ConfigError(
            f"sae.k is {config.k}, but the SAE has {d_sae} latents (sae.expansion {config.expansion} x width {d_in}); "
            f"set sae.k below {d_sae} or raise sae.expansion"
        )
    return d_sae


def train_topk(
    config: SaeConfig, job: SaeTraining, batches: "Iterator[torch.Tensor]", folder: Path
) -> tuple[tuple[int, float], ...]:
    """Train a TopK SAE, save it in sae-lens' inference format and return the loss curve (step, loss a token).

    Activations are scaled to mean norm sqrt(d_in) while training; the scale is folded into the weights at the end, so
    the saved SAE encodes raw activations. b_dec starts at the mean activation. The latents that have not fired
    for a while are revived by sae-lens' auxiliary loss. Same seed and data give the same bytes.
    """
    import torch

    n_steps = max(1, config.train_tokens // config.batch_size)
    sample = torch.cat([next(batches) for _ in range(min(_SCALE_BATCHES, n_steps))])
    scale = job.d_in**0.5 / float(sample.norm(dim=1).mean().clamp(min=1e-12))
    devices = [torch.device(job.device)] if job.device != "cpu" else []
    with quiet_sae_lens() as sae_lens, torch.random.fork_rng(devices=devices):
        torch.manual_seed(job.seed)
        trainer = _trainer(sae_lens, config, job, n_steps, batches)
        trainer.sae.b_dec.data = (sample.mean(dim=0) * scale).to(job.device)
        trainer.activation_scaler.scaling_factor = scale
        curve = _fit(trainer, batches, n_steps)
        trainer.sae.fold_activation_norm_scaling_factor(scale)
        trainer.sae.save_inference_model(folder)
    return curve


def _trainer(
    sae_lens: ModuleType, config: SaeConfig, job: SaeTraining, n_steps: int, batches: "Iterator[torch.Tensor]"
) -> "SAETrainer":
    sae = sae_lens.TopKTrainingSAE(
        sae_lens.TopKTrainingSAEConfig(
            d_in=job.d_in,
            d_sae=check_width(config, job.d_in),
            k=config.k,
            device=job.device,
            normalize_activations="expected_average_only_in",
        )
    )
    sae.cfg.metadata.model_name = job.model_name
    sae.cfg.metadata.hook_name = f"blocks.{job.hook_layer}.hook_resid_post"
    sae.cfg.metadata.hf_hook_name = f"model.layers.{job.hook_layer}"
    sae.cfg.metadata.prepend_bos = job.prepend_bos
    sae.cfg.metadata.context_size = job.context_size
    settings = sae_lens.config.SAETrainerConfig(
        total_training_samples=n_steps * config.batch_size,
        train_batch_size_samples=config.batch_size,
        lr=config.lr,
        lr_end=config.lr / 10,  # None fails an assertion in sae-lens 6.54
        lr_warm_up_steps=n_steps // 20 if n_steps >= 40 else 0,
        lr_decay_steps=n_steps // 5,
        dead_feature_window=max(10, n_steps // 16),
        device=job.device,
        logger=sae_lens.LoggingConfig(log_to_wandb=False),
    )
    return sae_lens.training.sae_trainer.SAETrainer(cfg=settings, sae=sae, data_provider=batches)


def _fit(trainer: "SAETrainer", batches: "Iterator[torch.Tensor]", n_steps: int) -> tuple[tuple[int, float], ...]:
    """Drive sae-lens' trainer by its public `step`: `fit` would draw its own bar and keep no curve."""
    curve: list[tuple[int, float]] = []
    every = max(1, n_steps // _CURVE_POINTS)
    with track(n_steps, "Training the SAE", "step") as bar:
        for step in range(n_steps):
            output = trainer.step(next(batches))
            trainer.n_training_steps += 1
            if step % every == 0 or step == n_steps - 1:
                curve.append((step, float(output.losses["mse_loss"].detach())))
            bar.update()
    return tuple(curve)
