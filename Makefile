# Affidavit: `make demo` runs the whole site on this machine, `make test` checks everything. `make` lists the rest.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
HOME_FOLDER := $(or $(AFFIDAVIT_HOME),.affidavit)
SITE_OPTIONS = $(if $(PORT),--port $(PORT)) $(if $(BIND),--host $(BIND)) $(if $(WORKERS),--workers $(WORKERS))
WITH_SERVERS := $(BIN)/python -m config test-env --
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help install demo dev stop services secrets test lint format types checks unit journeys screenshots newcomer clients fuzz sbom audit bench faults backup restore drill clean reset

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | while IFS='|' read -r name text; do \
		printf '%-10s %s\n' "$$name" "$$text"; done

install: $(STAMP) ## make .venv and install the locked packages

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

demo: install ## the site with example data, until Ctrl-C; DETACH=1 in the background; PORT=, BIND=, WORKERS=
	@$(BIN)/python -m config demo $(if $(DETACH),--detach) $(SITE_OPTIONS)

dev: install ## the site without example data, with debug pages and restarts on a change
	@$(BIN)/python -m config dev $(SITE_OPTIONS)

stop: install ## stop the site that runs in the background
	@$(BIN)/python -m config stop

services: install ## only PostgreSQL and Valkey; prints their addresses as shell variables
	@$(BIN)/python -m config services

secrets: install ## make the passwords and keys that compose.yaml mounts (in ./secrets, once)
	@$(BIN)/python -m config secrets secrets

test: install lint types checks unit ## everything but the browser: style, types, migrations, settings, tests

lint: install ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install ## mypy, strict
	$(BIN)/mypy .

checks: install ## no migration is missing; the settings of a deployment are sound
	$(WITH_SERVERS) sh -c '$(BIN)/python manage.py migrate -v 0 && \
		$(BIN)/python -W error::RuntimeWarning manage.py makemigrations --check --dry-run'
	AFFIDAVIT_HTTPS=1 $(WITH_SERVERS) $(BIN)/python manage.py check --deploy --fail-level WARNING

unit: install ## pytest on real servers; ARGS= for pytest
	$(BIN)/python -m pytest $(ARGS)

journeys: install ## pytest in a browser (needs chromium); ARGS= for pytest
	$(BIN)/python -m pytest tests/journeys $(ARGS)

screenshots: install ## every page by its links, two widths, two themes, asked by axe (needs chromium); ARGS="--to FOLDER"
	$(BIN)/python -m tests.gallery $(ARGS)

newcomer: ## from a clone to the first verified receipt, as the README leads, within ten minutes; ARGS="--venv .venv" skips the install
	$(PYTHON) -m tests.newcomer $(ARGS)

clients: install .venv-clients/.installed ## run the clients that applications use, in a .venv-clients of their own; ARGS= for pytest
	$(BIN)/python -m pytest tests/clients $(ARGS)

.venv-clients/.installed: tests/clients/requirements.txt
	$(PYTHON) -m venv --clear .venv-clients
	.venv-clients/bin/pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	@touch $@

fuzz: install .venv-fuzz/.installed ## ten thousand requests made from the OpenAPI document, judged; ARGS=--quick for a few
	$(BIN)/python -m tests.fuzz $(ARGS)

.venv-fuzz/.installed: tests/fuzz/requirements.txt
	$(PYTHON) -m venv --clear .venv-fuzz
	.venv-fuzz/bin/pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt
	@touch $@

sbom: install .venv-tools/.installed ## what this is made of, as CycloneDX: build/sbom.cdx.json
	@mkdir -p build
	.venv-tools/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --mc-type application \
		--output-reproducible -o build/sbom.cdx.json

audit: .venv-tools/.installed ## known vulnerabilities of the locked packages; needs the package index
	@.ci/audit

.venv-tools/.installed: .ci/audit
	$(PYTHON) -m venv --clear .venv-tools
	.venv-tools/bin/pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7.3" "pip-audit>=2.10" || \
		{ echo "The tools cannot be fetched: no package index is reached from here." >&2; rm -rf .venv-tools; exit 2; }
	@touch $@

bench: install ## measure the write path on this machine; ARGS= for the benchmark; docs/benchmarks.md lists the others
	$(BIN)/python -m tests.benchmarks $(ARGS)

faults: install ## kill processes under load and count what was lost; ARGS= for the run
	$(BIN)/python -m tests.faults $(ARGS)

backup: install ## a verified backup, also of a running site; FILE= where to, PASSPHRASE_FILE= seals the keys into it
	@$(BIN)/python -m config backup $(if $(FILE),--to $(FILE)) $(if $(PASSPHRASE_FILE),--passphrase-file $(PASSPHRASE_FILE))

restore: install ## restore the backup FILE= and verify every log; ARGS="--replace" drops what is in the database
	@$(BIN)/python -m config restore $(FILE) $(if $(PASSPHRASE_FILE),--passphrase-file $(PASSPHRASE_FILE)) $(ARGS)

drill: install ## rehearse a recovery: back up, lose the database, restore, verify, go on; and refuse to set back
	$(BIN)/python -m pytest tests/config/test_recovery.py -v $(ARGS)

clean: ## remove caches, build products and the test servers' data
	$(call remove_state,$(HOME_FOLDER)/test $(HOME_FOLDER)/test-?)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build staticfiles
	find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +

reset: stop clean ## stop the site and remove all its data and keys, for good
	$(call remove_state,$(HOME_FOLDER))

# As root, the servers' data can lie outside the checkout: `server-data` then points there.
define remove_state
	@for folder in $(1); do \
		[ -e "$$folder/lock" ] || continue; \
		if [ -L "$$folder/server-data" ]; then rm -rf "$$(readlink "$$folder/server-data")"; fi; \
		rm -rf "$$folder"; \
	done
endef
