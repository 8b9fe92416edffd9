# The commands of the project. Each one sets up what it needs and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: serve test check format ci clean
.DEFAULT_GOAL := check

$(VENV)/serve.stamp: requirements/serve.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/serve.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/serve.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/test.txt
	touch $@

serve: $(VENV)/serve.stamp ## start the starter endpoints and the page on 127.0.0.1:8400
	$(BIN)/firstlight serve

test: $(VENV)/test.stamp ## everything that needs neither torch nor a browser
	$(BIN)/python -m pytest -n auto

check: $(VENV)/test.stamp ## the inner loop: lint, types, layers, unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	FIRSTLIGHT_TESTS=inner $(BIN)/python -m pytest -q -n auto tests/unit

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ci:
	bash .ci/run

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
