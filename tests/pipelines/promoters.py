"""Two processes that try to promote a version each, at the same moment, round after round."""

import multiprocessing as mp
import time

NAME = "raced"


def promote_at_once(uri: str, n_rounds: int) -> list[list[str]]:
    """Return for each round how both attempts ended: `won` or `overtaken`, with the version."""
    context = mp.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_promote, args=(uri, n_rounds, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    told = [results.get(timeout=240) for _ in range(2 * n_rounds)]
    for process in processes:
        process.join(60)
    return [[f"{end} {version}" for number, end, version in told if number == i] for i in range(n_rounds)]


def _promote(uri, n_rounds, barrier, results) -> None:
    from saerl_core.promotion.records import RegisteredPolicy
    from steps._registry import OvertakenError, Registry

    registry = Registry(NAME, uri)
    for number in range(n_rounds):
        entry = registry.register("s3://bucket/policy", "", RegisteredPolicy(version=0, verdict="passed"))
        barrier.wait(120)
        champion = registry.holder()
        barrier.wait(120)
        try:
            # the pause between check and write is where a promotion without a lock goes wrong
            registry.crown(entry, champion.version if champion else None, lambda: time.sleep(0.3))
            end = "won"
        except OvertakenError:
            end = "overtaken"
        results.put((number, end, entry.version))
        barrier.wait(120)
