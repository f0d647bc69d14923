"""What is different without a GPU. Every function gets the module that has just been imported."""

import atexit
import gc
import glob
import os
import shutil

OBJECT_STORE_BYTES = 200_000_000


class CpuDevice(str):
    """What stands for the current CUDA device: torch reads "cpu"; in f"cuda:{device}" it must still be a number."""

    __slots__ = ()

    def __format__(self, spec):
        return "0"


def patch_torch_cuda(cuda):
    """OpenRLHF asks torch.cuda for its device unconditionally. `is_available` stays honest: it is False."""
    cuda.current_device = lambda: CpuDevice("cpu")
    cuda.current_stream = lambda *_: None
    for name in ("set_device", "synchronize", "empty_cache"):
        setattr(cuda, name, lambda *_, **__: None)


def patch_import_utils(utils):
    """Assisted decoding and losses of object detection, which nobody uses here, import scikit-learn and scipy."""
    utils.is_sklearn_available = utils.is_scipy_available = lambda: False


def patch_ray_worker(worker):
    """`ray.init` that starts a cluster of its own gets pretended GPUs and little of everything else."""
    start = worker.init

    def init(address=None, **settings):
        if address is None and not os.environ.get("RAY_ADDRESS") and not worker.is_initialized():
            n_gpus = int(os.environ.get("SAERL_TEST_GPUS", "4"))
            folder = ray_folder()
            defaults = {
                "num_gpus": n_gpus,
                "num_cpus": n_gpus + 4,  # reserved by actors, not used: the machine may have two
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": folder,
            }
            settings = {**defaults, **settings}
            address = "local"  # never another run's cluster
            atexit.register(leave, worker, folder)
        return start(address, **settings)

    worker.init = init


def ray_folder():
    """A short path, for Ray's sockets live in it (107 characters at most); one a process, so that runs never meet."""
    for old in glob.glob("/tmp/saerl-ray-*"):
        if not os.path.exists(f"/proc/{old.rpartition('-')[2]}"):
            shutil.rmtree(old, ignore_errors=True)  # of a run that was killed
    return f"/tmp/saerl-ray-{os.getpid()}"


def leave(worker, folder):
    """Ray's own exit handler runs after this one, too late to remove its folder."""
    worker.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def patch_deepspeed_comm(comm):
    """DeepSpeed would compile a C++ extension for shared-memory reductions: minutes, and gloo does without."""
    comm.build_shm_op = lambda: None


def patch_strategy(module):
    """The device mesh of gloo is a CPU one, and the optimizer is torch's AdamW: DeepSpeed's own would be compiled."""
    mesh, config = module.init_device_mesh, module.get_train_ds_config
    module.init_device_mesh = lambda _cuda, *args, **kwargs: mesh("cpu", *args, **kwargs)

    def get_train_ds_config(*args, optim_config=None, **kwargs):
        made = config(*args, optim_config=optim_config, **kwargs)
        if optim_config is not None:
            optim_config["params"]["torch_adam"] = True
            made["zero_force_ds_cpu_optimizer"] = False  # offloaded states, too
        return made

    module.get_train_ds_config = get_train_ds_config


def patch_ppo_actor(module):
    """Colocated engines get their weights as CUDA handles, which a CPU tensor has not: hand over the tensor itself.

    Sleep moves optimizer states from the GPU to the CPU, where they are already.
    """
    from torch.multiprocessing import reductions

    reductions.reduce_tensor = lambda tensor: (as_it_is, (tensor,))
    module.get_physical_gpu_id = lambda: f"cpu {os.getpid()}"
    module.offload_deepspeed_states = module.reload_deepspeed_states = lambda *_, **__: None


def patch_pynccl(module):
    """Real vLLM's own class loads NCCL, which needs a GPU, and without it broadcasts nothing."""
    from saerl_cpu_shim.weights import GlooCommunicator

    module.PyNcclCommunicator = GlooCommunicator


def patch_vllm_linear(utils):
    """On a CPU vLLM packs each matrix at the start and drops or forgets the original, so new weights would not arrive.

    Without its packing kernels it takes torch's linear, as it does itself where neither AMX nor oneDNN is there.
    """
    utils.check_cpu_sgl_kernel = lambda *_: False
    utils.ops._supports_onednn = False


def patch_worker_wrap(module):
    """A weight is received in a tensor on "cuda", as it is written in the code: here that is the CPU."""
    from torch.overrides import TorchFunctionMode

    from saerl_cpu_shim.weights import note

    class OnTheCpu(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if (kwargs or {}).get("device") != "cuda":
                return function(*args, **(kwargs or {}))
            self.received = function(*args, **{**kwargs, "device": "cpu"})
            return self.received

    update_weight = module.WorkerWrap.update_weight

    def on_the_cpu(self, name, *args, **kwargs):
        with OnTheCpu() as mode:
            update_weight(self, name, *args, **kwargs)
        note(name, mode.received)

    module.WorkerWrap.update_weight = on_the_cpu


def collect_garbage_again(_):
    """What is imported by now stays: looking through all of it took half a second in each process."""
    gc.freeze()
    gc.enable()


def as_it_is(tensor):
    """Rebuild what `reduce_tensor` took apart."""
    return tensor


PATCHES = {
    "torch.cuda": patch_torch_cuda,
    "transformers.utils.import_utils": patch_import_utils,
    "ray._private.worker": patch_ray_worker,
    "deepspeed.comm.torch": patch_deepspeed_comm,
    "openrlhf.utils.deepspeed.deepspeed": patch_strategy,
    "openrlhf.trainer.ray.launcher": collect_garbage_again,  # the last of the large imports; engines do it themselves
    "openrlhf.trainer.ray.ppo_actor": patch_ppo_actor,
    "openrlhf.trainer.ray.vllm_worker_wrap": patch_worker_wrap,
    "vllm.distributed.device_communicators.pynccl": patch_pynccl,
    "vllm.model_executor.layers.utils": patch_vllm_linear,
}
