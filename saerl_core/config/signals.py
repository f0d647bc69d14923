"""What the signals of the plan are read from: the SAE, or what critics would put in its place."""

from typing import Literal

from saerl_core.config.base import Section

Space = Literal["sae", "dense", "random_sae", "surface", "random"]


class SignalsConfig(Section):
    """Quality, clusters and difficulty of one kind; `random`: the SAE's own signals, dealt out at random."""

    space: Space = "sae"
