"""The engine: requests that wait at the same time are generated as one batch."""

import asyncio
import gc
from types import SimpleNamespace

from saerl_cpu_shim.weights import note

GATHER_S = 0.02  # a step's requests come in one by one within this time
LARGEST_BATCH = 256


class AsyncLLMEngine:
    def __init__(self, args):
        import torch
        from transformers import AutoModelForCausalLM

        torch.manual_seed(args.seed)  # OpenRLHF gives every engine another seed
        # float32, for bfloat16 is slow on most CPUs; the pushed weights are rounded to args.dtype all the same
        self.model = AutoModelForCausalLM.from_pretrained(
            args.model, dtype=torch.float32, trust_remote_code=args.trust_remote_code
        ).eval()
        self.dtype = getattr(torch, args.dtype)
        self.longest = args.max_model_len or self.model.config.max_position_embeddings
        self.stops = stop_ids(self.model)
        self.waiting, self.running, self.server = [], 0, None
        gc.enable()  # saerl_cpu_shim had switched it off for the imports
        self.output_processor = SimpleNamespace(get_num_unfinished_requests=lambda: len(self.waiting) + self.running)

    @classmethod
    def from_engine_args(cls, args):
        return cls(args)

    async def generate(self, prompt, params, request_id):
        result = asyncio.get_running_loop().create_future()
        self.waiting.append((prompt["prompt_token_ids"], params, result))
        if self.server is None:
            self.server = asyncio.create_task(self.serve())
        yield await result

    async def serve(self):
        try:
            while self.waiting:
                await asyncio.sleep(GATHER_S)
                batch = self.take()
                try:
                    outputs = await asyncio.to_thread(self.run, [ids for ids, _, _ in batch], batch[0][1])
                except Exception as error:  # noqa: BLE001 - whoever waits gets it
                    outputs = [error] * len(batch)
                for (_, _, result), output in zip(batch, outputs, strict=True):
                    (result.set_exception if isinstance(output, Exception) else result.set_result)(output)
                self.running = 0
        finally:
            self.server = None

    def take(self):
        """The requests that are sampled like the one that waits longest."""
        alike = [request for request in self.waiting if request[1] == self.waiting[0][1]][:LARGEST_BATCH]
        taken = {id(request) for request in alike}
        self.waiting = [request for request in self.waiting if id(request) not in taken]
        self.running = len(alike)
        return alike

    def run(self, prompts, params):
        import torch
        from transformers import GenerationConfig

        width = max(map(len, prompts))
        if width >= self.longest:
            raise ValueError(f"a prompt of {width} tokens leaves no room in max_model_len {self.longest}")
        limits = [min(params.max_tokens, self.longest - len(ids)) for ids in prompts]
        pad = self.stops[0] if self.stops else 0  # masked in the prompt; after a completion's end it is cut off
        config = GenerationConfig(
            max_new_tokens=max(limits),
            min_new_tokens=min(params.min_tokens, max(limits)),
            do_sample=params.temperature > 0,
            **({"temperature": params.temperature, "top_p": params.top_p} if params.temperature > 0 else {}),
            top_k=max(params.top_k, 0),
            eos_token_id=self.stops or None,
            pad_token_id=pad,
            return_dict_in_generate=True,
            output_scores=params.logprobs is not None,  # OpenRLHF asks for those after min_tokens, temperature, top_p
        )
        with torch.inference_mode():
            made = self.model.generate(
                torch.tensor([[pad] * (width - len(ids)) + list(ids) for ids in prompts]),
                attention_mask=torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]),
                generation_config=config,
            )
        scores = torch.stack(made.scores, 1).log_softmax(-1) if params.logprobs is not None else None
        return [
            self.output(row[:limit], None if scores is None else scores[i])
            for i, (row, limit) in enumerate(zip(made.sequences[:, width:].tolist(), limits, strict=True))
        ]

    def output(self, tokens, scores):
        """One completion as vLLM gives it: the end token is part of it."""
        end = next((i for i, token in enumerate(tokens) if token in self.stops), None)
        tokens = tokens if end is None else tokens[: end + 1]
        logprobs = None
        if scores is not None:
            logprobs = [{t: SimpleNamespace(logprob=scores[i, t].item())} for i, t in enumerate(tokens)]
        completion = SimpleNamespace(
            token_ids=tokens,
            text=None,  # read by executors of several turns only, which would fail here, not train on nothing
            finish_reason="length" if end is None else "stop",
            logprobs=logprobs,
        )
        return SimpleNamespace(outputs=[completion])

    async def collective_rpc(self, method, args=()):
        """What vLLM runs in its workers; here there is one."""
        return [await asyncio.to_thread(getattr(self, method), *args)]

    def init_process_group(self, host, port, rank, world_size, group_name, backend, use_ray):
        from openrlhf.utils.distributed_util import stateless_init_process_group

        self.group = stateless_init_process_group(host, port, rank, world_size, "cpu")

    def update_weight(self, name, dtype, shape, empty_cache):
        import torch

        weight = torch.empty(shape, dtype=dtype)
        self.group.broadcast(weight, src=0, stream=None)
        self.load(name, weight)

    def update_weight_cuda_ipc(self, name, dtype, shape, handles, empty_cache):
        rebuild, args = next(iter(handles.values()))
        self.load(name, rebuild(*args))

    def load(self, name, weight):
        import torch

        assert weight.dtype == self.dtype, f"weight {name} came as {weight.dtype}, the engine was made for {self.dtype}"
        with torch.no_grad():
            self.model.get_parameter(name).copy_(weight)
        note(name, weight)

    async def is_sleeping(self):
        return False

    async def sleep(self, level=1):
        """Nothing to free on a CPU."""

    async def wake_up(self, tags=None):
        """See sleep."""

    async def reset_prefix_cache(self):
        """There is none."""


def stop_ids(model):
    ids = model.generation_config.eos_token_id
    ids = model.config.eos_token_id if ids is None else ids
    return [] if ids is None else list(ids) if isinstance(ids, list) else [ids]
