#!/usr/bin/env bash
# Trains the networks that the gap report `res` compares (plugins/pycodec_plugins/rdgap/gaps/res.toml, docs/res.md):
#   benchmarks/train_gap_res.sh PHOTOGRAPHS [RUNS]
# Each size starts with 3,000 steps at lambda 0.0162. From there, 1,200 steps for each lambda make a codec, and 1,200 from that
# codec its bound. About 2.5 core-hours. What was stopped goes on, and copies of this that are started side by side share the work.
set -euo pipefail
data=${1:?a folder of training photographs} runs=${2:-runs}
short=(--set stage.joint.steps=1200 --set stage.joint.learning_rate.model=7e-4)

# train RUN SIZE LAMBDA FROM [OPTION...]: 0 if RUN is finished; FROM is the run it starts from, or "-".
train() {
    local run=$runs/$1 size=$2 lambda=$3 from=$4 codec=res_${1%%_*} init=()
    codec=${codec/start/hyper}
    if [[ -e $run/finished ]]; then return 0; fi
    if [[ $from != - ]]; then
        [[ -e $runs/$from/finished ]] || return 1
        init=(--init "$runs/$from"/res_*.safetensors)
    fi
    mkdir -p "$run"
    exec {lock}> "$run/lock"
    if flock --nonblock "$lock"; then
        echo "$(date +%T) $1"
        if [[ -e $run/checkpoint.safetensors ]]; then init=(--resume); fi
        pycodec train "$codec" --data "$data" --out "$run" --threads 1 --set "config.size=$size" --set "task.lambda=$lambda" \
            "${@:5}" "${init[@]}" >> "$run/log.txt" 2>&1 || { tail -n 1 "$run/log.txt" >&2; exit 1; }
        touch "$run/finished"
    fi
    exec {lock}>&-
    [[ -e $run/finished ]]
}

# Every network once; fails while one of them is missing.
all() {
    local missing=0 size lambda name
    for size in 1 4 2; do
        train "start_$size" $size 0.0162 - --set stage.joint.steps=3000 || missing=1
    done
    for size in 1 4 2; do
        for lambda in 0.0018 0.0162 0.0054 0.0483; do
            name=${size}_${lambda#0.}
            train "hyper_$name" $size $lambda "start_$size" "${short[@]}" || missing=1
            train "hyper_${name}_bound" $size $lambda "hyper_$name" "${short[@]}" --set config.posterior=96 || missing=1
            if ((size == 4)); then
                train "context_$name" 4 $lambda start_4 "${short[@]}" || missing=1
                train "context_${name}_bound" 4 $lambda "context_$name" "${short[@]}" --set config.posterior=96 || missing=1
            fi
        done
    done
    return $missing
}

until all; do
    sleep 5  # the rest waits for what another copy trains
done
