#!/usr/bin/env bash
# Everything of this benchmark on one GPU, within DEADLINE seconds: what ended by then is kept. See README.md beside it.
#   gpu.sh OUT DEADLINE      (SAERL_SHARED_DATA names the folder of the pools, SAERL_HOME holds the fetched model)
set -uo pipefail
out=${1:?where logs and results are copied to} deadline=${2:-560}
cd "$(dirname "$0")/../.."
started=$SECONDS
left() { echo $((deadline - (SECONDS - started))); }
export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$out"
nvidia-smi --query-gpu=timestamp,memory.used,utilization.gpu --format=csv,noheader -l 5 >"$out/gpu.csv" &
watch=$!
log() { tr '\r' '\n' | grep -av '%|' | grep -av '^$' | cut -c1-300; }

python3 -m benchmarks.real_lm signals --workers "${READERS:-3}" --deadline "$(left)" 2>&1 | log >"$out/signals.log" &
signals=$!
python3 -m benchmarks.real_lm train dev --workers 4 --deadline "$(left)" 2>&1 | log | tee "$out/dev.log"
# A trial takes up to 32 GiB, and more than four at a time gain nothing: together they keep the GPU busy all the time.
lr=$(python3 -m benchmarks.real_lm best-lr) && echo "learning rate $lr, the best on dev; $(left) s left"
[ -n "$lr" ] && python3 -m benchmarks.real_lm train test --workers "${TRAINERS:-4}" --lr "$lr" --deadline "$(left)" 2>&1 | log | tee "$out/test.log"
wait "$signals"
[ "$(left)" -gt "${SPEED_S:-90}" ] && python3 -m benchmarks.real_lm throughput 2>&1 | log | tee "$out/throughput.log" # alone: it is timed
kill "$watch"
tail -n 5 "$out/signals.log"
cp benchmarks/real_lm/results/*.jsonl "$out/"
