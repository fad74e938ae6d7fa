#!/usr/bin/env bash
# On a CUDA machine without a network: build, run the CUDA tests, measure, check that files go between the devices
# (both into benchmarks/results/<gpu>.json), and train for the time given. To rehearse it without a GPU:
# DEVICE=cpu QUICK=1 PYCODEC_CUDA=0, which leaves its results in OUT.
#   MINUTES  training time; 0: none                 (default 7)
#   DATA     folder of training photographs         (default ./images)
#   IMAGE    photograph to measure with             (default the first of DATA)
#   OUT      where results and the checkpoint go    (default ./runs/gpu)
#   WHEELS   folder of wheels the machine may lack  (default ./wheels)
#   DEVICE   cuda or cpu                            (default cuda)
#   QUICK    1: tiny sizes, does it run?            (default empty)
#   RECIPE   what to train                          (default ctx3d)
#   INIT     weights to start from when there is no checkpoint, at the stage FIRST_STAGE (default joint)
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${MINUTES:-7} data=${DATA:-images} out=${OUT:-runs/gpu} wheels=${WHEELS:-wheels} recipe=${RECIPE:-ctx3d}
device=${DEVICE:-cuda}
mkdir -p "$out"
image=${IMAGE:-$(find "$data" -type f | sort | head -n 1)}

site="$PWD/build/gpu-site"
if compgen -G "$wheels/*.whl" >/dev/null; then
  python3 -m pip install --quiet --no-index --no-deps --upgrade --target "$site" "$wheels"/*.whl
fi
export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
PYCODEC_CUDA=${PYCODEC_CUDA:-1} python3 -m pip install --quiet --no-index --no-deps --no-build-isolation -e .

python3 -m pycodec doctor --json | tee "$out/doctor.json"
# pytest exits with 5 when no test is marked cuda; anything else that is not 0 is a failure.
python3 -m pytest -m cuda -q || [ $? -eq 5 ]

options=(${QUICK:+--quick})
for name in range_coder context_decode; do # without a GPU, its kernels as plain loops
  python3 -m "benchmarks.$name" --device "${device/cpu/emulated}" "${options[@]}" --json "$out/$name.json"
done
python3 -m benchmarks.masked_conv3d --device "$device" "${options[@]}" --json "$out/masked_conv3d.json"
python3 -m benchmarks.codec --device "$device" "${options[@]}" --image "$image" --json "$out/codec.json"
rehearsal=()
if [ "$device" = cpu ] || [ -n "${QUICK:-}" ]; then
  rehearsal=(--json "$out/gpu.json")
fi
python3 -m benchmarks.gpu --device "$device" --image "$image" "${rehearsal[@]}" \
  --parts "$out"/{range_coder,context_decode,masked_conv3d,codec}.json
if [ "$minutes" = 0 ]; then
  exit
fi

start=()
if [ -e "$out/$recipe/checkpoint.safetensors" ]; then
  start=(--resume)
elif [ -n "${INIT:-}" ]; then
  start=(--init "$INIT" --first-stage "${FIRST_STAGE:-joint}")
fi
python3 -m pycodec train "$recipe" --data "$data" --out "$out/$recipe" --device "$device" --workers "$(nproc)" \
  --minutes "$minutes" "${start[@]}"
