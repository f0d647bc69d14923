"""Completions by vLLM: a process in an environment of its own, fed and read by files, never asked twice.

Prompts go as the token ids that our own sampler would read, with its stop tokens, and token ids come back: format,
truncation, counts and text are the same with either engine. The random numbers are not: vLLM has its own.
"""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.disk import write_text
from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.policy.context import attention_heads, context_tokens, fitting
from saerl_core.policy.loading import generation_settings, load_tokenizer, read_config, stop_tokens
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.progress import track
from saerl_core.records import PolicyRef
from saerl_core.rollouts.completions import Completion
from saerl_core.rollouts.vllm_environment import Vllm, check_head_size, environment_of, installed_vllm
from saerl_core.rollouts.vllm_worker import EXIT_DISK_FULL, Job
from saerl_core.shards import WHOLE, Shard

_WORKER = Path(__file__).with_name("vllm_worker.py")
_ROWS = 2048  # completions in one call of vLLM: what a kill loses at most
_LOOK_S = 0.2
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class Decoding:
    """How completions are drawn; the seed names the streams."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int


class VllmSampler:
    """Samples from one policy with vLLM; implements `rollouts.completions.CompletionSampler`.

    Finished prompts lie in `folder`, below a name made of policy, settings and seed: whoever asks again, after a
    kill or in another call, gets them from there.
    """

    def __init__(
        self, policy: PolicyRef, how: Decoding, config: RolloutsConfig, folder: Path, shard: Shard = WHOLE
    ) -> None:
        """Look whether vLLM is there and fits; the process starts with the first prompt that is not known yet.

        Raises:
            ConfigError: no interpreter, no vLLM in it, another version, or sizes that do not fit the policy.
        """
        vllm = installed_vllm(config.python)
        self.version = vllm.version
        self.engine = f"vLLM {self.version}"
        self.max_completion_tokens = how.max_tokens
        self.n_prefill_tokens = self.n_generated_tokens = 0
        self.start_s = 0.0
        self._policy, self._how, self._config = policy, how, config
        self._tokenizer = load_tokenizer(policy)
        self._stop = stop_tokens(generation_settings(policy), self._tokenizer)
        own = read_config(policy, context_tokens)
        asked = config.max_model_len
        if asked is not None and own is not None and asked > own:
            raise ConfigError(
                f"rollouts.max_model_len is {asked}, but the policy's context is {own} tokens; set it to at most {own} "
                "or leave it out"
            )
        self.context_tokens = asked if asked is not None else own
        _check_heads(policy, config.tensor_parallel, vllm)
        self._shard = shard
        of_shard = "" if shard == WHOLE else f"-{shard.index}-of-{shard.n}"  # two pods must not write to one file
        self._folder = folder / f"{self._name()}{of_shard}"

    def sample(self, prompts: list[str], n: int, *, desc: str = "sampling") -> list[list[Completion]]:
        """Return `n` completions for each prompt, in the order of the prompts; `desc` names the progress bar.

        Prompts of other shards have no completion.

        Raises:
            DataError: a prompt does not fit into the context with room for a whole completion.
            BackendError: the engine failed, hung or was killed; what was finished is kept.
        """
        mine = self._shard.of(range(len(prompts)))
        answers = self._sample([prompts[i] for i in mine], n, desc) if len(mine) and n > 0 else [[] for _ in mine]
        return [answers[i - mine[0]] if i in mine else [] for i in range(len(prompts))]

    def _sample(self, prompts: list[str], n: int, desc: str) -> list[list[Completion]]:
        tokens = prompt_tokens(self._tokenizer, prompts, self._policy.prompt_format)
        longest = max(map(len, tokens))
        if self.context_tokens is not None and longest + self.max_completion_tokens > self.context_tokens:
            raise DataError(
                f"the longest prompt has {longest} tokens and max_completion_tokens is {self.max_completion_tokens}; "
                f"the context is {self.context_tokens}; lower prompts.max_prompt_chars or max_completion_tokens"
            )
        keys = [_key(row, n) for row in tokens]
        found = self._known(n)
        missing = {key: row for key, row in zip(keys, tokens, strict=True) if key not in found}
        if missing:
            try:
                self._run(missing, n, desc)
            except OSError as error:
                raise BackendError(self._unwritable(error.strerror or str(error))) from error
            found = self._known(n)
        lost = [key for key in missing if key not in found]
        if lost:
            raise BackendError(f"vLLM ended without completions for {len(lost)} of {len(missing)} prompts; start again")
        self.n_prefill_tokens += sum(map(len, tokens))
        groups = [found[key] for key in keys]
        self.n_generated_tokens += sum(len(ids) for group in groups for ids in group)
        return [[self._completion(ids) for ids in group] for group in groups]

    def fitting(self, prompts: list[str]) -> list[bool]:
        """Return for every prompt whether it fits into the model's context with room for a whole completion."""
        if self.context_tokens is None:
            return [True] * len(prompts)
        room = self.context_tokens - self.max_completion_tokens
        return fitting(prompts, self._tokenizer, self._policy.prompt_format, room)

    def _name(self) -> str:
        facts = [self._policy.policy_id, asdict(self._how), sorted(self._stop), self.version, self._config.dtype]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def _known(self, n: int) -> dict[str, list[list[int]]]:
        """Return the prompts with `n` finished completions; a line that a kill or a disk spoilt is none."""
        found: dict[str, list[list[int]]] = {}
        path = self._folder / "results.jsonl"
        for line in path.read_bytes().splitlines() if path.is_file() else []:
            with suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                if len(row["completions"]) == n and all(_are_ids(ids) for ids in row["completions"]):
                    found[row["key"]] = row["completions"]
        return found

    def _run(self, missing: dict[str, list[int]], n: int, desc: str) -> None:
        """Start the engine, wait for every prompt, and leave no process behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        _end_last_line(self._folder / "results.jsonl")
        started = self._folder / "started"
        started.unlink(missing_ok=True)
        job = self._folder / "job.json"
        write_text(job, json.dumps(self._job(missing, n)))
        assert self._config.python is not None
        n_before = _n_lines(self._folder / "results.jsonl")
        with (self._folder / "log.txt").open("wb") as log, track(len(missing) * n, desc, unit="completion") as bar:
            child = subprocess.Popen(
                [self._config.python, str(_WORKER), str(job)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment_of(self._config.tensor_parallel),
                start_new_session=True,
            )
            try:
                last, begun = time.monotonic(), time.time()
                while child.poll() is None:
                    time.sleep(_LOOK_S)
                    n_done = (_n_lines(self._folder / "results.jsonl") - n_before) * n
                    if n_done > bar.n:
                        bar.update(n_done - bar.n)
                        last = time.monotonic()
                    if time.monotonic() - last > self._config.silent_s:
                        raise BackendError(
                            f"vLLM finished no prompt for {self._config.silent_s} s (rollouts.silent_s); "
                            f"{self._last_words()}"
                        )
            finally:
                _kill(child)
                if started.is_file():
                    self.start_s += max(0.0, started.stat().st_mtime - begun)
        if child.returncode != 0:
            raise BackendError(f"{self._explained(child.returncode)}; finished prompts are kept")

    def _job(self, missing: dict[str, list[int]], n: int) -> Job:
        how, config = self._how, self._config
        return {
            "model": self._policy.path,
            "trust_remote_code": self._policy.trust_remote_code,
            "dtype": config.dtype,
            "tensor_parallel": config.tensor_parallel,
            "memory_frac": config.memory_frac,
            "max_model_len": self.context_tokens,
            "temperature": how.temperature,
            "top_p": how.top_p,
            "max_tokens": how.max_tokens,
            "seed": how.seed % 2**31,
            "stop": sorted(self._stop),
            "n": n,
            "chunk": max(1, _ROWS // n),
            "results": str(self._folder / "results.jsonl"),
            "started": str(self._folder / "started"),
            "requests": [{"key": k, "tokens": t, "seed": _seed(k, how.seed)} for k, t in missing.items()],
        }

    def _completion(self, ids: list[int]) -> Completion:
        ended = bool(ids) and ids[-1] in self._stop
        text = self._tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        return Completion(str(text), len(ids), not ended)

    def _unwritable(self, why: str) -> str:
        return f"what vLLM reads and writes cannot be kept in '{self._folder}' ({why}); make room there, start again"

    def _explained(self, code: int) -> str:
        if code == EXIT_DISK_FULL:
            return self._unwritable("the disk is full")
        if code == -signal.SIGKILL:
            return (
                "vLLM was killed (exit -9), most likely because the machine ran out of memory: lower "
                f"rollouts.memory_frac or rollouts.max_model_len, or take a larger machine; {self._last_words()}"
            )
        return f"vLLM ended with exit code {code}; {self._last_words()}"

    def _last_words(self) -> str:
        log = self._folder / "log.txt"
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        errors = [line for line in lines if "Error" in line] or [line for line in lines if line.strip()]
        return f"its last error: {errors[-1].strip()} (log: {log})" if errors else f"its log is empty: {log}"


def _check_heads(policy: PolicyRef, tensor_parallel: int, vllm: Vllm) -> None:
    heads, size = read_config(policy, attention_heads)
    if heads is not None and heads % tensor_parallel:
        raise ConfigError(
            f"rollouts.tensor_parallel is {tensor_parallel}, which does not divide the policy's {heads} attention "
            "heads; choose a divisor"
        )
    if size is not None:
        check_head_size(vllm, size)


def _are_ids(found: object) -> bool:
    return isinstance(found, list) and all(type(one) is int and one >= 0 for one in found)


def _key(tokens: Sequence[int], n: int) -> str:
    return hashlib.sha256(json.dumps([n, *tokens]).encode()).hexdigest()[:24]


def _seed(key: str, seed: int) -> int:
    return int(hashlib.sha256(f"{key}/{seed}".encode()).hexdigest()[:7], 16)


def _end_last_line(path: Path) -> None:
    """End a line that a kill cut off, so that the next one is whole."""
    if path.is_file() and not path.read_bytes().endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")


def _n_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """End the engine and everything of its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
