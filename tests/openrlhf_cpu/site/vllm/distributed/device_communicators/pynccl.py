from saerl_cpu_shim.weights import GlooCommunicator as PyNcclCommunicator

__all__ = ["PyNcclCommunicator"]
