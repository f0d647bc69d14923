"""Processes that promote: two at the same moment, round after round, and one that is killed on the way."""

import multiprocessing as mp
import os
import signal
import time

NAME = "raced"


def promote_at_once(uri: str, n_rounds: int) -> list[list[str]]:
    """Return for each round how both attempts ended: `won` or `overtaken`, with the version."""
    context = _processes()
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_promote, args=(uri, n_rounds, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    told = [results.get(timeout=240) for _ in range(2 * n_rounds)]
    for process in processes:
        process.join(60)
    return [[f"{end} {version}" for number, end, version in told if number == i] for i in range(n_rounds)]


def _processes() -> mp.context.BaseContext:
    """Processes of their own, forked from one that has imported the registry: ZenML and MLflow take seconds."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["tracking.registry", "tests.pipelines.promoters"])
    return context


def _promote(uri, n_rounds, barrier, results) -> None:
    from saerl_core.promotion.records import RegisteredPolicy
    from tracking.registry import OvertakenError, Registry

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


def die_while_promoting(uri: str, name: str, *, before_the_alias: bool) -> int:
    """Register a version and promote it in a process that is killed right before or after the alias moves."""
    process = _processes().Process(target=_die, args=(uri, name, before_the_alias))
    process.start()
    process.join(240)
    return process.exitcode


def _die(uri, name, before_the_alias) -> None:
    from saerl_core.promotion.records import RegisteredPolicy
    from tracking.registry import Registry

    registry = Registry(name, uri)
    entry = registry.register("s3://bucket/policy", "", RegisteredPolicy(version=0, verdict="passed"))

    def die(*_) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if not before_the_alias:
        registry.settle = die
    registry.crown(entry, None, die if before_the_alias else lambda: None)
