"""What a strategy that shares what it learns knows of every prompt."""

from typing import Literal

from saerl_core.config.base import Positive, Section


class VectorsConfig(Section):
    """The short vector of every prompt; all that `embed_prompts` reads."""

    features: Literal["sae", "dense", "random_sae", "surface", "angles", "none"] = "sae"  # what prompts share
    n_components: Positive = 48  # whitened principal components of these features
    use_likelihood: bool = True  # the policy's own likelihood of prompt and answer beside them
    use_metadata: bool = False  # topic, level and both together, where the data name them
