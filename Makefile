# `make demo` runs the main job, `make test` the checks; both set up what they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN_TEST := $(BIN)/python -m pytest
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

# constraints.txt pins what is installed and what builds it (hatchling; setuptools and Cython for pydensecrf2). A pip
# before 25.3 takes the first for both; a newer one takes the second for building. Relative: pip splits at spaces.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt

.PHONY: demo test lint types unit bench wheel clean

demo: $(STAMP)
	$(BIN)/glrp demo --out demo

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(RUN_TEST) -m "not alone" -n 2 --dist loadfile
	$(RUN_TEST) -m alone

bench: $(STAMP)
	$(BIN)/python tests/benchmarks/run.py

wheel: $(STAMP)
	$(BIN)/pip wheel --no-deps --wheel-dir dist .

$(STAMP): pyproject.toml constraints.txt napari.yaml tools/install-system-packages
	PYTHON=$(PYTHON) sh tools/install-system-packages
	$$(command -v $(PYTHON) || echo python3) -m venv $(VENV)
	$(PIP_INSTALL) torch==2.13.0
	$(PIP_INSTALL) -e '.[qt,crf,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo
