"""The table of formats, and the trainers that cannot keep an order."""

from collections.abc import Mapping
from difflib import get_close_matches

from saerl_core.errors import ConfigError
from saerl_core.export import hub, jsonl, nemo_rl, slime, swift, tinker, trinity, trl, verl
from saerl_core.export.records import Format

FORMATS: Mapping[str, Format] = {
    "trl": trl.FORMAT,
    "verl": verl.FORMAT,
    "slime": slime.FORMAT,
    "nemo-rl": nemo_rl.FORMAT,
    "tinker": tinker.FORMAT,
    "trinity": trinity.FORMAT,
    "swift": swift.FORMAT,
    "jsonl": jsonl.FORMAT,
    "hub": hub.FORMAT,
}
NO_ORDER: Mapping[str, str] = {  # asked for by name, and why there is no such format
    "roll": "ROLL shuffles the indices of its data set, always",
    "open-instruct": "open-instruct draws a random permutation of its data set for every epoch, always",
    "skyrl": "SkyRL's data loader shuffles, and only an overridden method of its trainer stops it",
    "areal": "AReaL trains on the completions that were finished first, and shuffles them",
    "axolotl": "axolotl's asynchronous GRPO loader shuffles whatever the settings say",
    "prime-rl": "prime-rl keeps the order of dispatch only: it trains on what is finished first",
    "openrlhf": "OpenRLHF's data loader shuffles without a switch; train with it from here: training.backend openrlhf",
}


def find(name: str) -> Format:
    """Return the format of this name; `ConfigError` for a trainer that keeps no order, or an unknown name."""
    if name in FORMATS:
        return FORMATS[name]
    known = f"the formats that keep a given order are {', '.join(FORMATS)}"
    if name in NO_ORDER:
        raise ConfigError(f"a plan cannot be exported for '{name}': {NO_ORDER[name]}; {known}")
    near = get_close_matches(name.lower(), [*FORMATS, *NO_ORDER], n=1)
    meant = f" (did you mean '{near[0]}'?)" if near else ""
    raise ConfigError(f"format '{name}' is not known{meant}; {known}")
