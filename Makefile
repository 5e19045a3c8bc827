# Two commands do all the set-up: `make run` and `make test`. They need Python 3.11+ and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test check bench vendor pictures schema clean help

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@echo "Making the environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing the gateway (a minute or two, once)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing what tests and checks need"
	@$(PIP) --editable '.[dev,oscar]'
	@touch $@

run: $(VENV)/.run ## Install, prepare the embedded shop, serve on http://localhost:8000
	@$(BIN)/gateway data prepare
	@echo "Serving: open http://localhost:8000 in a browser (Ctrl+C stops)"
	@exec $(BIN)/gateway serve

check: $(VENV)/.dev ## Lint, types, import contracts, schema, components
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/gateway schema --check
	$(BIN)/gateway components check

tests/node/node_modules/.installed: tests/node/package.json
	@echo "Installing the clients that tests speak with (npm)"
	@cd tests/node && npm install --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@

test: check tests/node/node_modules/.installed ## Everything CI runs
	@# What fails among all others, on cores that they share, has to pass by itself.
	$(BIN)/pytest -n auto --cov --cov-report=term:skip-covered || \
	  { echo "Once more, what failed:"; $(BIN)/pytest --last-failed --last-failed-no-failures=none; }

bench: $(VENV)/.dev ## Measure; prints ratios
	$(BIN)/python -m bench.home
	$(BIN)/python -m bench.cache
	$(BIN)/python -m bench.cold
	$(BIN)/python -m bench.steps
	$(BIN)/python -m bench.tracing
	$(BIN)/python -m bench.decisions
	$(BIN)/python -m bench.exposures
	$(BIN)/python -m bench.hub
	$(BIN)/python -m bench.notices
	$(BIN)/python -m bench.flags
	$(BIN)/python -m bench.join
	$(BIN)/python -m bench.learner
	$(BIN)/python -m bench.closing
	$(BIN)/python -m bench.loop
	$(BIN)/python -m bench.learning
	$(BIN)/python -m bench.page
	$(BIN)/python -m bench.console

vendor: ## Make storefront/vendor anew from npm packages
	@cd storefront/vendor && npm install --no-package-lock --no-audit --no-fund --loglevel=error && npm run --silent vendor

pictures: $(VENV)/.dev ## Take the pictures of the documentation anew
	$(BIN)/python -m bench.screenshots
	$(BIN)/python -m bench.screenshots_console

schema: $(VENV)/.run ## Print schema.graphql from the code
	$(BIN)/gateway schema --write

clean: ## Remove the environment and the embedded data
	rm -rf $(VENV) var tests/node/node_modules storefront/vendor/node_modules
