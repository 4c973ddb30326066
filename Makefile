# The front door: `make` lists what there is.  CMake does the work.

PYTHON  = python3
SETUP   = $(PYTHON) scripts/setup.py
STARTER = build/starter.gapack
DELTA   = data/retriever/delta.safetensors
TRAINED = build/retriever/model.safetensors
DATA    = $(sort $(wildcard data/library/*.jsonl))
PROMPT ?= my grandmother died last week and i have to write to her best friend

.PHONY: help setup build demo test check fuzz fault bench retriever lint format install clean

help:
	@echo 'make setup    install packages, models and the language model server'
	@echo 'make build    the program and the starter pack, in build/'
	@echo 'make demo     answer a real prompt with and without guidance'
	@echo 'make test     all tests'
	@echo 'make check    the fast ones, under two minutes'
	@echo 'make fuzz     every fuzz target for a minute (SECONDS=60)'
	@echo 'make fault    the tests that fail the nth allocation'
	@echo 'make bench    speed beside the engines people would use instead (INPUT=prompts.jsonl); 3 GB to install'
	@echo 'make retriever  train the retriever anew, half an hour'
	@echo 'make lint     layers, format, clang-tidy'
	@echo 'make format   apply clang-format'
	@echo 'make install  program, library, headers (PREFIX=/usr/local, DESTDIR=)'
	@echo 'make clean    remove build/ (the cache stays)'

setup:
	@$(SETUP) packages --for demo
	@$(SETUP) models
	@$(SETUP) llama

# what compiling needs, without the language model and its server
.PHONY: setup-build setup-test
setup-build:
	@$(SETUP) packages --for build
	@$(SETUP) models
setup-test:
	@$(SETUP) packages --for test
	@$(SETUP) models
	@$(SETUP) llama
	@$(SETUP) testenv

build: setup-build
	@$(MAKE) --no-print-directory compile $(STARTER)

.PHONY: compile
compile:
	@scripts/compile.sh release

# the base encoder and what training changed of it
$(TRAINED): build/guidealign $(DELTA)
	@build/guidealign train --apply $(DELTA) --out $(dir $@)
	@$(SETUP) models

$(STARTER): build/guidealign $(DATA) $(TRAINED)
	@build/guidealign pack --encoder $(dir $(TRAINED)) $(foreach f,$(DATA),--library $(f)) --out $@

# train it anew; the result goes where the shipped one lies (data/retriever/CARD.md)
PAIRS = $(sort $(wildcard data/pairs/train-*.jsonl)) data/pairs/dev.jsonl
retriever: build
	@build/guidealign train $(foreach f,$(DATA),--library $(f)) $(foreach f,$(PAIRS),--pairs $(f)) --held-out data/pairs/held-out.jsonl \
	    --freeze 1 --steps 300 --out build/retriever-training --delta $(DELTA)

demo: setup
	@$(MAKE) --no-print-directory build
	@build/guidealign ask '$(PROMPT)'

test: setup-test
	@$(MAKE) --no-print-directory compile $(STARTER)
	@scripts/test.sh all

check: setup-test
	@$(MAKE) --no-print-directory compile $(STARTER)
	@scripts/test.sh fast

SECONDS ?= 60
fuzz: setup-test
	@scripts/compile.sh fuzz
	@scripts/fuzz.sh $(SECONDS)

fault: setup-test
	@scripts/compile.sh asan
	@cd build/asan && ctest --output-on-failure -R '^fault/'

INPUT ?= data/pairs/dev.jsonl
CACHE  = $${XDG_CACHE_HOME:-$$HOME/.cache}/guidealign
bench: build
	@$(SETUP) benchenv
	@"$$($(SETUP) where benchenv)/bin/python" bench/run.py --encoder "$$($(SETUP) where base_encoder)" --input '$(INPUT)' \
	    --work "$(CACHE)/bench" --out docs/bench.json --plot docs/plots/bench.png --page docs/performance.md

lint:
	@scripts/lint.sh

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

PREFIX  ?= /usr/local
install: build
	@cmake --install build --prefix '$(PREFIX)'

clean:
	rm -rf build
