from dataclasses import dataclass
from typing import Any

from saerl_cpu_shim.weights import PATIENCE


@dataclass
class StatelessProcessGroup:
    store: Any
    rank: int
    world_size: int

    @classmethod
    def create(cls, host, port, rank, world_size):
        from torch.distributed import TCPStore

        return cls(TCPStore(host, port, world_size, is_master=rank == 0, timeout=PATIENCE), rank, world_size)
