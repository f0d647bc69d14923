"""Run by a Python that has tinker-cookbook: print the prompt ids of each batch of an exported folder's data set.

python tinker_order.py FOLDER
"""

import asyncio
import importlib
import json
import sys
from importlib.metadata import version

from tinker_cookbook.rl.types import RLDataset, RLDatasetBuilder
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def letters():
    """Return a tokenizer of bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    found = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=found, pad_token="!", eos_token="!")


def main(folder):
    """Build the data set as `tinker_cookbook.rl.train` does, ask for its batches and make the environments of each."""
    sys.path.insert(0, folder)
    module = importlib.import_module("plan_dataset")
    tokenizer = letters()
    module.get_tokenizer = lambda _: tokenizer  # no name of the Hub: nothing is downloaded
    builder = module.PlanDatasetBuilder(model_name="none", renderer_name="role_colon")
    assert isinstance(builder, RLDatasetBuilder)
    dataset, test = asyncio.run(builder())
    assert isinstance(dataset, RLDataset)
    assert test is None
    batches = []
    for i in range(len(dataset)):
        groups = [asyncio.run(group.make_envs()) for group in dataset.get_batch(i)]
        batches.append(
            {
                "ids": [envs[0].row["prompt_id"] for envs in groups],
                "texts": [envs[0].get_question() for envs in groups],
                "sizes": [len({id(env) for env in envs}) for envs in groups],
                "tokens": [asyncio.run(read(envs[0], tokenizer)) for envs in groups],
            }
        )
    sys.stdout.write("\n" + json.dumps({"version": version("tinker-cookbook"), "batches": batches}))


async def read(env, tokenizer):
    """Return the text that the policy would get."""
    observation, _ = await env.initial_observation()
    return tokenizer.decode(observation.to_ints())


main(sys.argv[1])
