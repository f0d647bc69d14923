"""A real language model's signals, training and speed: run what the results lack, or report."""

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_lm")
    commands = parser.add_subparsers(dest="command", required=True)
    signals = commands.add_parser("signals", help="read the pools: what do features and their rivals say?")
    signals.add_argument("--workers", type=int, default=1, help="readings at a time")
    signals.add_argument("--deadline", type=float, help="seconds after which what is still read is stopped")
    train = commands.add_parser("train", help="train SmolLM2 by each arm of configs/compare_everyday.yaml")
    train.add_argument("split", choices=["dev", "test"])
    train.add_argument("--workers", type=int, default=2, help="trials at a time")
    train.add_argument("--deadline", type=float, help="seconds after which what still runs is stopped")
    train.add_argument("--arms", default="", help="names with commas between them; all, if left out")
    train.add_argument("--seeds", default="", help="numbers with commas between them; those of the file, if left out")
    train.add_argument("--lr", type=float, help="test: the learning rate; that of the file, if left out")
    train.add_argument(
        "--small", action="store_true", help="what a CPU can do: two arms, two seeds, a quarter of the rollouts"
    )
    commands.add_parser("best-lr", help="print the learning rate that was best on dev")
    commands.add_parser("throughput", help="time the extraction of features; after `train`, whose SAE it takes")
    commands.add_parser("report", help="write the tables of docs/real_model.md")
    asked = parser.parse_args()
    sys.exit(not _RUN[asked.command](asked))


def _signals(asked: argparse.Namespace) -> bool:
    from benchmarks.real_lm.signals import run

    data = os.environ.get("SAERL_SHARED_DATA")
    if data is None:
        sys.exit("SAERL_SHARED_DATA is not set; name the folder that holds the pools of benchmarks/README.md")
    return run(Path(data), n_workers=asked.workers, deadline_s=asked.deadline)


def _train(asked: argparse.Namespace) -> bool:
    from benchmarks.real_lm.train import Asked, run

    arms = tuple(filter(None, asked.arms.split(",")))
    seeds = tuple(int(s) for s in asked.seeds.split(",") if s)
    return run(Asked(asked.split, asked.workers, asked.deadline, arms, seeds, asked.lr, asked.small))


def _best_lr(_: argparse.Namespace) -> bool:
    from benchmarks.real_lm.train import best_lr

    print(f"{best_lr():g}")
    return True


def _throughput(_: argparse.Namespace) -> bool:
    from benchmarks.real_lm.throughput import run

    return run()


def _report(_: argparse.Namespace) -> bool:
    from benchmarks.real_lm.report import write_report

    write_report()
    return True


_RUN = {"signals": _signals, "train": _train, "best-lr": _best_lr, "throughput": _throughput, "report": _report}

if __name__ == "__main__":
    main()
