"""Rollouts whose advantage is 0 have no gradient: leave them out of the forward and backward pass."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


Batch = dict[str, Any]  # TRL's own: tensors with one row a rollout, and a few numbers


def live_part(inputs: Batch) -> tuple[Batch, float]:
    """Return the rows of a micro-batch whose advantage is not 0, without columns of padding, and their share.

    Without a KL term the loss of the other rows is 0 and so is their gradient: a loss that averages over sequences
    only has to be multiplied with the share. Where no row is live one stays, so that the gradient is a tensor of zeros
    and not absent. Prompts are padded left, completions right.
    """
    import torch

    live = inputs["advantages"] != 0
    if not bool(live.any()):
        live[0] = True
    rows = live.nonzero()[:, 0]
    part = {k: v[rows] if isinstance(v, torch.Tensor) and v.ndim > 0 else v for k, v in inputs.items()}
    prompts, completions = _used(part["prompt_mask"]), _used(part["completion_mask"])
    for key, columns in (("prompt", prompts), ("completion", completions)):
        part[f"{key}_ids"], part[f"{key}_mask"] = part[f"{key}_ids"][:, columns], part[f"{key}_mask"][:, columns]
    for key in ("sampling_per_token_logps", "old_per_token_logps"):
        if isinstance(part.get(key), torch.Tensor):
            part[key] = part[key][:, completions]
    return part, len(rows) / len(live)


def _used(mask: "torch.Tensor") -> slice:
    """Return the columns between the first and the last that any row uses."""
    columns = mask.any(0).nonzero()[:, 0]
    return slice(int(columns[0]), int(columns[-1]) + 1)
