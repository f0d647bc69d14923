"""Run by the interpreter of vLLM's environment: reads requests from a file, appends completions to another.

It imports nothing of this project, so that the other environment needs vLLM and nothing else. Everything goes by token
ids: prompt format, stop tokens and text are those of whoever asked.

    python vllm_worker.py JOB.json
"""

import errno
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any, TypedDict

SECONDS_BETWEEN_LOOKS = 1.0
EXIT_DISK_FULL = 74  # the log may be on the same disk, so that a message there cannot be relied on


class Request(TypedDict):
    """One prompt: a name for the results, its tokens, the seed of its stream."""

    key: str
    tokens: list[int]
    seed: int


class Job(TypedDict):
    """What the job file holds; sizes in tokens, `n` completions a prompt, `chunk` prompts a call of vLLM."""

    model: str
    trust_remote_code: bool
    dtype: str
    tensor_parallel: int
    memory_frac: float
    max_model_len: int | None
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: list[int]
    n: int
    chunk: int
    results: str
    started: str  # a file of this name says that the engine is there
    requests: list[Request]


def main(path: str) -> None:
    """Sample what the results file lacks, in chunks; every finished prompt is a line."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    with open(path, encoding="utf-8") as file:
        job: Job = json.load(file)
    from vllm import LLM
    from vllm.inputs import TokensPrompt
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        import torch

        memory = torch.cuda.mem_get_info()
        require_memory(job["model"], job["tensor_parallel"], job["memory_frac"], free=memory[0], total=memory[1])
    is_cpu, trust_remote_code = current_platform.is_cpu(), job["trust_remote_code"]
    llm = LLM(
        model=job["model"],
        skip_tokenizer_init=True,
        trust_remote_code=trust_remote_code,
        dtype=job["dtype"],
        tensor_parallel_size=job["tensor_parallel"],
        max_model_len=job["max_model_len"],
        enforce_eager=is_cpu,
        seed=job["seed"],
        **({} if is_cpu else {"gpu_memory_utilization": job["memory_frac"]}),
    )
    with open(job["started"], "wb"):
        pass
    for start in range(0, len(job["requests"]), job["chunk"]):
        chunk = job["requests"][start : start + job["chunk"]]
        prompts = [TokensPrompt(prompt_token_ids=request["tokens"]) for request in chunk]
        # the generator of a CPU cannot be given an offset, so that there the engine's seed is the only one
        parameters = [sampling(job, None if is_cpu else request["seed"]) for request in chunk]
        append(job["results"], chunk, llm.generate(prompts, parameters, use_tqdm=False))


def require_memory(model: str, n_gpus: int, memory_frac: float, *, free: int, total: int) -> None:
    """Raise `MemoryError` where the weights of a model folder do not fit into the share of each GPU; in bytes.

    Weights are taken to be as large as their files; what vLLM needs beside them, it says itself.
    """
    if not os.path.isdir(model):
        return  # a name of the Hub: nothing is known before it is fetched
    files = [entry for entry in os.scandir(model) if entry.name.endswith((".safetensors", ".bin"))]
    needed, room = sum(entry.stat().st_size for entry in files) / n_gpus, min(free, memory_frac * total)
    if needed > room:
        gib = 1024**3
        raise MemoryError(
            f"the policy's weights take {needed / gib:.1f} GiB of each GPU, which has {total / gib:.1f} GiB, "
            f"{free / gib:.1f} GiB of them free, and may use {memory_frac:g} of it (rollouts.memory_frac): "
            f"{(needed - room) / gib:.1f} GiB are missing; raise rollouts.tensor_parallel, free the GPU, "
            "or take a larger one"
        )


def sampling(job: Job, seed: int | None) -> object:
    """Return how the completions of a prompt are drawn; what ends one stands in `stop`."""
    from vllm import SamplingParams

    return SamplingParams(
        n=job["n"],
        temperature=job["temperature"],
        top_p=job["top_p"],
        max_tokens=job["max_tokens"],
        stop_token_ids=job["stop"],
        ignore_eos=True,
        detokenize=False,
        seed=seed,
    )


def append(path: str, requests: Sequence[Request], outputs: Sequence[Any]) -> None:
    """Write a line a prompt, on disk before the next chunk begins."""
    with open(path, "a", encoding="utf-8") as file:
        for request, output in zip(requests, outputs, strict=True):
            ids = [list(one.token_ids) for one in output.outputs]
            file.write(json.dumps({"key": request["key"], "completions": ids}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def end_with(parent: int) -> None:
    """End this process when the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def run_and_exit(path: str) -> None:
    """Run a job and end the process at once, whatever threads the engine has: results are on disk by then."""
    code = 0
    try:
        main(path)
    except BaseException as error:  # noqa: BLE001 (the process ends with it)
        code = EXIT_DISK_FULL if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) else 1
        try:
            traceback.print_exc()
            sys.stderr.flush()
        except OSError:
            pass  # a full disk again
    os._exit(code)


if __name__ == "__main__":
    run_and_exit(sys.argv[1])
