"""Lets OpenRLHF run on a machine without a GPU: test environment only, imported by a .pth at every start of its Python.

Nothing of OpenRLHF is copied or replaced by file: each patch is applied right after the module that it concerns has
been imported, whoever imports it – the trainer's own process or one of Ray's workers. `patches` says what and why.
"""

import gc
import os
import sys
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

ENVIRONMENT = {
    "DS_ACCELERATOR": "cpu",
    "OMP_NUM_THREADS": "1",  # five processes share few cores
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",  # vLLM's usage statistics
    "VLLM_CPU_KVCACHE_SPACE": "1",  # gigabytes
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHDYNAMO_DISABLE": "1",  # OpenRLHF compiles its entropy function: on a CPU that runs a C++ compiler
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # a process for every pretended CPU, most of which nobody uses
    "RAY_worker_register_timeout_seconds": "300",  # a worker imports torch before it registers; cores may be busy
    "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE": "1",  # containers have a small /dev/shm
    # DeepSpeed's builds leave a lock file behind when killed, on which every later process of the user would wait
    "TORCH_EXTENSIONS_DIR": os.path.join(sys.prefix, "torch_extensions"),
}


# While the first is imported, the second is absent; the first does without it, as with a PyTorch that has none. That is
# a tenth of what every process imports, for a compiler of DeepSpeed's that is off.
ABSENT = {"deepspeed.compile.inductor": "torch._inductor.lowering"}


class PatchAfterImport(MetaPathFinder):
    """Runs `saerl_cpu_shim.patches.PATCHES[name]` on a module as soon as its own code has run."""

    names = frozenset(
        {
            "torch.cuda",
            "transformers.utils.import_utils",
            "ray._private.worker",
            "deepspeed.comm.torch",
            "openrlhf.utils.deepspeed.deepspeed",
            "openrlhf.trainer.ray.launcher",
            "openrlhf.trainer.ray.ppo_actor",
            "openrlhf.trainer.ray.vllm_worker_wrap",
            "vllm.distributed.device_communicators.pynccl",
            "vllm.model_executor.layers.utils",
        }
    )

    def find_spec(self, name, path=None, target=None):
        if name not in self.names and name not in ABSENT:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                self.wrap(spec.loader, name)
                return spec
        return None

    def wrap(self, loader, name):
        run = loader.exec_module

        def exec_module(module):
            with absent(ABSENT.get(name)):
                run(module)
            if name in self.names:
                from saerl_cpu_shim.patches import PATCHES

                PATCHES[name](module)

        loader.exec_module = exec_module  # a loader belongs to one module


@contextmanager
def absent(name):
    """Let nobody import a module for a while, unless somebody has."""
    if name is None or name in sys.modules:
        yield
        return
    sys.modules[name] = None
    try:
        yield
    finally:
        del sys.modules[name]


for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
gc.disable()  # a quarter of the imports' time, in each of six processes; on again as soon as they are done
sys.meta_path.insert(0, PatchAfterImport())
