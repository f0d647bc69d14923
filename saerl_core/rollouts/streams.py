"""Random numbers of completions, named by seed, prompt and sample."""

import hashlib
from collections import Counter

import numpy as np
from jaxtyping import Float64


def uniforms(prompts: list[str], n: int, length: int, seed: int) -> list[Float64[np.ndarray, "n length"]]:
    """Return the random numbers of every prompt; the second copy of a prompt gets a stream of its own."""
    return [stream(name, n, length) for name in stream_names(prompts, seed)]


def stream_names(prompts: list[str], seed: int) -> list[bytes]:
    """Return the name of every prompt's random numbers."""
    seen: Counter[str] = Counter()
    names = []
    for prompt in prompts:
        names.append(f"{seed}:{seen[prompt]}:{prompt}".encode(errors="surrogatepass"))
        seen[prompt] += 1
    return names


def stream(name: bytes, n: int, length: int) -> Float64[np.ndarray, "n length"]:
    """Return the random numbers of one prompt: a row a sample."""
    key = int.from_bytes(hashlib.sha256(name).digest()[:16], "big")
    samples = [np.random.Generator(np.random.Philox(key=key, counter=s << 128)).random(length) for s in range(n)]
    return np.stack(samples)
