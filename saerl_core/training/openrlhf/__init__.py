"""The OpenRLHF backend: a driver in the pipeline's process, a trainer in its own environment, files between them."""
