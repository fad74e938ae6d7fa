#!/usr/bin/env bash
# On a CUDA machine without a network: build, run the CUDA tests, measure, and train for the time given.
#   MINUTES  training time                          (default 7)
#   DATA     folder of training photographs         (default ./images)
#   OUT      where results and the checkpoint go    (default ./runs/gpu)
#   WHEELS   folder of wheels the machine may lack  (default ./wheels)
#   RECIPE   what to train                          (default ctx3d)
#   INIT     weights to start from when there is no checkpoint
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${MINUTES:-7} data=${DATA:-images} out=${OUT:-runs/gpu} wheels=${WHEELS:-wheels} recipe=${RECIPE:-ctx3d}
mkdir -p "$out"

site="$PWD/build/gpu-site"
if compgen -G "$wheels/*.whl" >/dev/null; then
  python3 -m pip install --quiet --no-index --no-deps --upgrade --target "$site" "$wheels"/*.whl
fi
export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
PYCODEC_CUDA=1 python3 -m pip install --quiet --no-index --no-deps --no-build-isolation --upgrade --target "$site" .

cd "$out"
repository=$OLDPWD
python3 -m pycodec doctor --json | tee doctor.json
# pytest exits with 5 when no test is marked cuda; anything else that is not 0 is a failure.
(cd "$repository" && python3 -m pytest -m cuda -q) || [ $? -eq 5 ]
for name in coding context; do
  python3 "$repository/benchmarks/bench_$name.py" --out "$PWD/$name.json"
done

checkpoint="$PWD/$recipe/checkpoint.safetensors"
start=()
if [ -e "$checkpoint" ]; then start=(--resume); elif [ -n "${INIT:-}" ]; then start=(--init "$repository/$INIT"); fi
python3 -m pycodec train "$recipe" --data "$repository/$data" --out "$recipe" --device cuda --workers 12 \
  --minutes "$minutes" "${start[@]}"
