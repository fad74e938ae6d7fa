#!/usr/bin/env bash
# Fuzzes the native core, by clang's libFuzzer with AddressSanitizer and UBSan, and what Python reads, by atheris; in
# a copy of the tree that stays in build/fuzz. Each target starts from tests/fuzz/corpus and keeps what it finds in
# build/fuzz/corpus. Logs, and the input of a finding, are in build/fuzz/logs; a finding ends the run.
#   MINUTES  in all, shared by the targets  (default 10)
#   TARGETS  only these
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang++ > /dev/null || { echo "there is no clang++; install clang" >&2 && exit 2; }
python3 -c "import atheris" || { echo "there is no atheris; pip install atheris" >&2 && exit 2; }
here=$PWD copy=build/fuzz
mkdir -p "$copy"
find "$copy" -mindepth 1 -maxdepth 1 ! -name build ! -name corpus ! -name logs -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C "$copy"
cd "$copy"
mkdir -p corpus logs
checks=address,undefined
export CXX=clang++ LDFLAGS="-fsanitize=$checks" LIB_FUZZING_ENGINE=-fsanitize=fuzzer PYCODEC_CUDA=0
export CXXFLAGS="-fsanitize=$checks,fuzzer-no-link -fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp -O1 -g1"
python3 setup.py -q build_fuzz

programs=$(dirname build/*-cpu/build.ninja)/fuzz
native=$(ls "$programs" | grep -v context_threads)  # which is replayed only
read -ra targets <<< "${TARGETS:-$(echo $native) $(python3 "$here/tests/fuzz/run_python.py" --list)}"
seconds=$((${MINUTES:-10} * 60 / ${#targets[@]}))
for target in "${targets[@]}"; do
  run=("$programs/$target")
  if [ ! -e "${run[0]}" ]; then run=(python3 "$here/tests/fuzz/run_python.py" "$target"); fi
  mkdir -p "corpus/$target"
  log=logs/$target.$(date +%s).log
  "${run[@]}" -max_total_time="$((seconds > 0 ? seconds : 1))" -timeout=60 -rss_limit_mb=4096 -max_len=700 \
    -print_final_stats=1 -artifact_prefix="logs/$target-" "corpus/$target" "$here/tests/fuzz/corpus/$target" \
    2> "$log" || { tail -n 40 "$log" >&2 && exit 1; }
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions"
done
