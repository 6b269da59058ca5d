# make demo   sets everything up and runs the whole job       make demo DATA=/path FORMAT=auto   on your own images
# make test   every test, with the real database and browser  make check   format, lint, types

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?=
FORMAT ?= auto
SERVE ?= 1
PORT ?= 5151
# tests run in as many processes, each with one thread: threads that wait for one another would hold up both
WORKERS ?= 2
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(if $(CI),-q) -c constraints.txt

.PHONY: demo test check format bench setup clean

demo: $(VENV)/.installed
	@$(BIN)/curate doctor --fix --skip browser
	@exec $(BIN)/curate demo $(if $(DATA),--data "$(DATA)") --format $(FORMAT) $(if $(filter 0,$(SERVE)),--no-serve,--serve --port $(PORT))

test: $(VENV)/.installed-test
	@$(BIN)/curate doctor --fix
	$(if $(TESTS),,OMP_NUM_THREADS=1 )$(BIN)/python -m pytest $(if $(TESTS),$(TESTS),-n $(WORKERS) --dist loadfile)

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-test
	@test -n "$(DATA)" || { echo "Say where the magnetic tile images are: make bench DATA=/path/magnetic_tile"; exit 1; }
	$(BIN)/python benchmarks/padim_peer.py "$(DATA)" --peer-python $(BIN)/python

setup: $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	  || { echo "curate needs Python 3.11 or newer; found $$($(PYTHON) --version 2>&1). Say: make PYTHON=python3.11"; exit 1; }
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing; about five minutes, most of it PyTorch."
	$(PIP) -e ".[openvino]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e ".[openvino,dev,bench]"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
