"""A world small enough to train in milliseconds: two letters, a random policy that is right now and then."""

from pathlib import Path

import numpy as np
import pandas as pd

from saerl_core.config.run import GradingConfig, TrainingConfig
from saerl_core.policy.storage import save_policy
from saerl_core.records import PolicyRef, TrainJob
from saerl_core.tables import PROMPTS

SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")


def tiny_tokenizer():
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({t: i for i, t in enumerate((*SPECIALS, "a", "b"))}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    backend.decoder = decoders.Fuse()
    backend.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIALS, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, padding_side="left", clean_up_tokenization_spaces=False, **names
    )


def tiny_policy(folder: Path, seed: int = 0, context: int = 64, hidden: int = 16) -> PolicyRef:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=6,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=32,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.1)
    return save_policy(model, tiny_tokenizer(), folder)


def tiny_prompts(n: int = 12) -> pd.DataFrame:
    texts = [f"{i:b}".replace("1", "a").replace("0", "b") for i in range(1, n + 1)]
    fixed = {"source": "test", "topic": None, "level": None, "known_pass_rate": None, "quality_label": None}
    rows = [
        {"prompt_id": f"p{i:02d}", "prompt": text, "answer": "a" if i % 2 else "b", **fixed}
        for i, text in enumerate(texts)
    ]
    state = {"duplicate_of": None, "conflict": False, "contamination": 0.0, "flags": "", "usable": True, "truth": None}
    return PROMPTS.check(pd.DataFrame(rows).assign(**state))


def tiny_job(policy: PolicyRef, work_dir: Path, *, n_steps: int = 6, prompts_per_step: int = 4, **changes) -> TrainJob:
    settings = {"group_size": 4, "max_completion_tokens": 2, "lr": 1e-2, "save_every_steps": 2, "device": "cpu"}
    seed, curriculum = changes.pop("job_seed", 0), changes.pop("curriculum_hash", "a plan")
    prompts, kind = changes.pop("prompts", None), changes.pop("grading_kind", "exact")
    eval_prompts, grading = changes.pop("eval_prompts", None), changes.pop("grading", None)
    return TrainJob(
        policy=policy,
        prompts=tiny_prompts() if prompts is None else prompts,
        config=TrainingConfig(**{**settings, **changes}),
        grading=GradingConfig(kind=kind) if grading is None else grading,
        n_steps=n_steps,
        prompts_per_step=prompts_per_step,
        seed=seed,
        curriculum_hash=curriculum,
        work_dir=work_dir,
        eval_prompts=eval_prompts,
    )


class ListCurriculum:
    """Hands out fixed batches and keeps what it observed."""

    def __init__(self, batches: list[list[str]]) -> None:
        self.batches, self.outcomes = batches, []

    def next_batch(self, step):
        return list(self.batches[step])

    def observe(self, outcome):
        self.outcomes.append(outcome)

    def state_dict(self):
        return {"n_observed": len(self.outcomes)}

    def load_state_dict(self, state):
        pass


class FeedbackCurriculum:
    """Its next batch is a function of the pass counts of the step just before, and of them all in its state.

    `events` gets one entry a call. The batch of step i can only be right when the rewards of step i - 1 were observed.
    """

    def __init__(self, ids: list[str], size: int, events: list[str] | None = None) -> None:
        self.ids, self.size, self.key = ids, size, 1
        self.events = events if events is not None else []

    def next_batch(self, step):
        self.events.append(f"next_batch {step}")
        start = self.key % len(self.ids)
        return [self.ids[(start + 5 * k) % len(self.ids)] for k in range(self.size)]

    def observe(self, outcome):
        self.events.append(f"observe {outcome.step}")
        for n_correct in outcome.n_correct:
            self.key = (self.key * 31 + n_correct + 1) % 1_000_003

    def state_dict(self):
        return {"key": self.key}

    def load_state_dict(self, state):
        self.key = state["key"]


def expected_batches(ids: list[str], size: int, correct: list[list[int]]) -> list[list[str]]:
    """What a FeedbackCurriculum hands out when it sees the pass counts of step i before it chooses batch i + 1."""
    from saerl_core.protocols import BatchOutcome

    replay, batches = FeedbackCurriculum(ids, size), []
    for step, counts in enumerate(correct):
        batches.append(replay.next_batch(step))
        replay.observe(BatchOutcome(step, tuple(batches[-1]), tuple(counts), tuple(counts)))  # it looks at passes only
    return batches


def epochs(ids: list[str], size: int, n_epochs: int) -> list[list[str]]:
    rng, batches = np.random.default_rng(3), []
    for _ in range(n_epochs):
        order = [ids[i] for i in rng.permutation(len(ids))]
        batches += [order[i : i + size] for i in range(0, len(order), size)]
    return batches


def correct_counts(consumed: pd.DataFrame) -> list[list[int]]:
    return [list(rows.sort_values("slot")["n_correct"]) for _, rows in consumed.groupby("step")]


def weights_of(policy: PolicyRef) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(Path(policy.path) / "model.safetensors")
