"""Random numbers of completions, named by seed, prompt and sample."""

import hashlib
from collections import Counter

import numpy as np
from jaxtyping import Float64


def uniforms(prompts: list[str], n: int, length: int, seed: int) -> list[Float64[np.ndarray, "n length"]]:
    """Return the random numbers of every prompt; the second copy of a prompt gets a stream of its own."""
    seen: Counter[str] = Counter()
    streams = []
    for prompt in prompts:
        name = f"{seed}:{seen[prompt]}:{prompt}".encode(errors="surrogatepass")
        seen[prompt] += 1
        key = int.from_bytes(hashlib.sha256(name).digest()[:16], "big")
        samples = [np.random.Generator(np.random.Philox(key=key, counter=s << 128)).random(length) for s in range(n)]
        streams.append(np.stack(samples))
    return streams
