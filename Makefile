SHELL := /bin/bash
PYTHON ?= python3
SOURCES := $(shell git ls-files '*.cpp' '*.h' '*.cu' '*.cuh')
DATA ?= ../shared/data

.PHONY: help build test lint format bench gpu

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## editable install with everything needed to work on pycodec
	$(PYTHON) -m pip install -c constraints.txt -e ".[test,dev]"

test: ## the test suite
	$(PYTHON) -m pytest

lint: ## format, lint and types, as CI checks them
	ruff check .
	ruff format --check .
	$(if $(SOURCES),clang-format --dry-run -Werror $(SOURCES))
	mypy
	$(PYTHON) benchmarks/render.py --check

format: ## rewrite files the way lint wants them
	ruff check --fix .
	ruff format .
	$(if $(SOURCES),clang-format -i $(SOURCES))

bench: ## measure everything on this machine and render the README (DATA=folder with kodak/)
	$(PYTHON) benchmarks/bench_coding.py
	$(PYTHON) benchmarks/bench_context.py
	$(PYTHON) benchmarks/bench_masked_conv3d.py
	$(PYTHON) benchmarks/bench_codec.py --data $(DATA)/kodak
	$(PYTHON) benchmarks/bench_rd.py --data $(DATA)/kodak
	$(PYTHON) benchmarks/render.py

gpu: ## on a CUDA machine, offline: build, CUDA tests, benchmarks, training (MINUTES=7 DATA=folder OUT=folder)
	benchmarks/gpu.sh
