SHELL := /bin/bash
PYTHON ?= python3
SOURCES := $(shell git ls-files '*.cpp' '*.h' '*.cu' '*.cuh')
DATA ?= ../shared/data

.PHONY: help build test sanitize fuzz docs lint format bench ptxas gpu

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## editable install with everything needed to work on pycodec
	$(PYTHON) -m pip install -c constraints.txt -e ".[test,dev]"

test: ## the test suite
	$(PYTHON) -m pytest -n auto

sanitize: ## the native core under sanitizers: SAN=address (and undefined behaviour) or SAN=thread
	tests/sanitize.sh

fuzz: ## the native core and the Python readers, fuzzed for MINUTES=10 in all; needs clang and atheris
	tests/fuzz.sh

docs: export NO_MKDOCS_2_WARNING = 1
docs: ## the documentation as site/index.html; a page that is wrong fails
	$(PYTHON) -m mkdocs build --strict

lint: ## format, lint and types, as CI checks them
	ruff check .
	ruff format --check .
	$(if $(SOURCES),clang-format --dry-run -Werror $(SOURCES))
	mypy
	$(PYTHON) -m benchmarks.render --check

format: ## rewrite files the way lint wants them
	ruff check --fix .
	ruff format .
	$(if $(SOURCES),clang-format -i $(SOURCES))

bench: ## measure everything on this machine and render the README (DATA=folder with kodak/)
	$(PYTHON) -m benchmarks.range_coder
	$(PYTHON) -m benchmarks.context_decode
	$(PYTHON) -m benchmarks.masked_conv3d
	$(PYTHON) -m benchmarks.codec --image $(DATA)/kodak/kodim01.png
	$(PYTHON) -m benchmarks.rd --data $(DATA)/kodak --codecs ctx3d,ctx3d-msssim,cpm,hyperprior
	$(PYTHON) -m benchmarks.verify_kodak --data $(DATA)/kodak
	$(PYTHON) -m benchmarks.render

ptxas: ## registers and shared memory of the CUDA kernels, which must not spill; needs nvcc, no GPU
	$(PYTHON) -m benchmarks.ptxas

gpu: ## on a CUDA machine, offline: build, CUDA tests, benchmarks, parity, training (MINUTES=7 DATA=folder OUT=folder)
	benchmarks/gpu.sh
