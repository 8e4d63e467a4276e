# vpcore: `make` lists what can be made.

PYTHON := .venv/bin/python
IMAGE := build/debian-mini.img
MACHINE := machines/pc99.toml
FLAGS ?=
KIT ?=

CHECKED_C = $(shell find vpcore plugins -path '*/csrc/*.c')
RECIPES = $(wildcard vpcore/*/build.py plugins/*/build.py)
C_FLAGS := -std=gnu11 -Wall -Wextra -Werror -fsyntax-only $(addprefix -I,$(wildcard vpcore/*/csrc plugins/*/csrc))
# Leaks are not looked for: Python keeps memory until it ends.
SANITIZED := VPCORE_SANITIZE=1 VPCORE_SILICON_SCALE=0.1 ASAN_OPTIONS=detect_leaks=0
RUNTIMES = $(shell gcc -print-file-name=libasan.so) $(shell gcc -print-file-name=libubsan.so)

.DEFAULT_GOAL := help
.PHONY: run test test-all lint lint-c sanitize bench bench-guest clean help setup-run setup-test

run: setup-run $(IMAGE)  ## Boot a real Linux from the IDE disk of pc99 (FLAGS="--engine interp" adds flags)
	$(PYTHON) -m vpcore run $(MACHINE) --hda $(IMAGE) $(FLAGS)

$(IMAGE): | setup-run
	$(PYTHON) -m vpcore image build debian-mini $@

test: lint sanitize  ## Types, style, sanitizers, and all tests but the slow ones
	$(PYTHON) -m pytest -n 2 -m "not slow" $(FLAGS)

test-all: lint sanitize  ## The same with the slow tests
	$(PYTHON) -m pytest -n 2 $(FLAGS)

sanitize: setup-test  ## The processor's tests on an engine built with AddressSanitizer and UBSan
	for recipe in $(RECIPES); do VPCORE_SANITIZE=1 $(PYTHON) $$recipe > /dev/null || exit; done
	$(SANITIZED) LD_PRELOAD="$(RUNTIMES)" $(PYTHON) -m pytest -q -n 2 -m "not slow" tests/cpu tests/plugins/chipset

lint: setup-test lint-c  ## Style (ruff), types (mypy), C warnings (clang; gcc's when the engine is built)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

lint-c: setup-test
	clang $(C_FLAGS) $(CHECKED_C)

bench: setup-test $(IMAGE)  ## Print the figures of docs/performance.md, measured here (KIT=folder adds speed in the guest)
	$(PYTHON) bench/figures.py $(if $(KIT),--kit $(KIT)) $(FLAGS)

bench-guest: setup-test  ## The benchmark guest against native and QEMU (KIT=folder, filled where empty; FLAGS="-n 1")
	@test -n "$(KIT)" || { echo "make bench-guest: name a folder for the kit: make bench-guest KIT=FOLDER" >&2; exit 2; }
	$(PYTHON) bench/guest/compare.py $(KIT) $(FLAGS)

clean:  ## Remove what was built here (the download cache in ~/.cache/vpcore stays)
	rm -rf build dist .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks *.egg-info
	rm -rf vpcore/engine/_vp* vpcore/engine/csrc/gen plugins/chipset/_chips*
	find vpcore plugins tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || \
		sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)

setup-run:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test
