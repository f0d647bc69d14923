"""The way of new weights from the trainer into the engines: vLLM's interface, gloo in place of NCCL."""
