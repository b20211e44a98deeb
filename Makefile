# The first of these that is Python 3.11 or newer; another one with: make PYTHON=...
PYTHON ?= $(shell for python in python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Without what only tests and extras need.
USABLE := $(VENV)/.usable
# Modules are compiled when they are first imported: of 12,000 that are installed a search imports 2,000.
PIP := --quiet --no-compile --disable-pip-version-check
# Apart from the searches, so that every search of the demo starts from the same weights.
WEIGHTS := runs/jsc-toy-weights/checkpoints/best.ckpt

.PHONY: demo test check slow docs clean
.DELETE_ON_ERROR:

# The newest of runs/jsc-toy, runs/jsc-toy-2, ... is the one that this search has just written.
demo: $(USABLE) $(WEIGHTS)
	$(BIN)/narrower search --config configs/jsc-toy.toml --load $(WEIGHTS)
	$(BIN)/narrower report $$(ls -td runs/jsc-toy runs/jsc-toy-[0-9]* 2>/dev/null | head -n 1)

$(WEIGHTS): | $(USABLE)
	$(BIN)/narrower train jsc-toy jets --max-epochs 10 --batch-size 256 --learning-rate 1e-2 \
		--project jsc-toy-weights

test: check

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n 2

slow: $(STAMP)
	$(BIN)/pytest -m slow -n 2

docs: $(STAMP)
	$(BIN)/python tools/write_cli_docs.py
	$(BIN)/python tools/write_format_docs.py
	$(BIN)/python tools/write_schema.py
	$(BIN)/python tools/write_settings_docs.py

$(STAMP): $(USABLE)
	$(BIN)/python -m pip install $(PIP) --editable ".[dev]"
	touch $@

$(USABLE): pyproject.toml
	@test -n "$(PYTHON)" || { echo "narrower needs Python 3.11 or newer"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP) --editable .
	touch $@

# Runs are results: they stay until you delete them.
clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
