from vllm.distributed.utils import PATIENCE


class PyNcclCommunicator:
    """Broadcasts tensors among the ranks of a StatelessProcessGroup."""

    def __init__(self, group, device):
        from torch.distributed import PrefixStore, ProcessGroupGloo

        self.gloo = ProcessGroupGloo(PrefixStore("weights", group.store), group.rank, group.world_size, PATIENCE)

    def broadcast(self, tensor, src, stream=None):
        import torch

        if not tensor.is_contiguous():
            raise ValueError("only contiguous tensors can be broadcast in place")
        raw = tensor.detach().view(-1).view(torch.uint8)  # gloo does not know bfloat16
        self.gloo.broadcast(raw, src).wait()
