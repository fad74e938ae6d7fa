#!/usr/bin/env bash
# The native core under sanitizers, on Linux with g++: the programs of csrc/fuzz and the tests, in a copy of the tree
# that stays in build/, so that the next time compiles only what changed.
#   SAN    address (and undefined behaviour) or thread  (default address)
#   TESTS  only these, for pytest  (default: csrc/fuzz and all tests that call the core; for threads, that start some)
set -euo pipefail
cd "$(dirname "$0")/.."
tests="tests/coding tests/context tests/ops"
case ${SAN:=address} in
  address) checks=address,undefined library=libasan.so tests+=" tests/codec tests/cpm/test_quantized_dct.py" ;;
  thread)
    checks=thread library=libtsan.so
    # It takes memory away, of which TSan has to have its own.
    without=--deselect=tests/context/test_device_context.py::test_blocks_run_in_as_many_threads_as_there_are_to_be_had
    ;;
  *) echo "SAN is '$SAN'; expected address or thread" >&2 && exit 2 ;;
esac

copy=build/sanitize-$SAN
mkdir -p "$copy"
find "$copy" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C "$copy"
cd "$copy"
export CXX=g++ LDFLAGS="-fsanitize=$checks" PYCODEC_CUDA=0
export CXXFLAGS="-fsanitize=$checks -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1"
python3 setup.py -q build_ext --inplace

# The first finding ends the process, by a signal: then Python says which test it was. Python itself leaks.
# Memory that there is not is an error that tests expect.
export ASAN_OPTIONS=abort_on_error=1:detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=abort_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=abort_on_error=1:halt_on_error=1:allocator_may_return_null=1:ignore_noninstrumented_modules=1:die_after_fork=0
# TSan wants addresses that are not scattered widely. Some containers forbid to ask for that.
run=(env)
if setarch -R true 2>/dev/null; then run=(setarch -R); fi

if [ -z "${TESTS:-}" ]; then
  python3 setup.py -q build_fuzz
  for program in build/*-cpu/fuzz/*; do
    target=$(basename "$program") mutations=20
    if [ "$target" = context_threads ]; then mutations=0; fi
    "${run[@]}" "$program" --mutations=$mutations "tests/fuzz/corpus/$target"
  done
fi

# Before all else in every Python: the sanitizer, and the library whose exceptions it has to see.
preload="$(g++ -print-file-name=$library) $(g++ -print-file-name=libstdc++.so)"
export OMP_NUM_THREADS=1 PYTHONPATH="$PWD:$PWD/plugins"
"${run[@]}" env LD_PRELOAD="$preload" python3 -m pytest -x -q --capture=sys ${without:-} ${TESTS:-$tests} # reports pass through to stderr
