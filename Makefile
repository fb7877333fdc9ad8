# Catchment's commands; `make help` explains them. All run in .venv, which `make setup` makes.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

help:  ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: .venv/.installed  ## Make .venv and install the locked packages into it

ifeq ($(DBT_TARGET),spark)
setup: .venv/.installed-spark
endif

.venv/.installed-spark: requirements-spark.lock .venv/.installed
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-spark.lock
	@touch $@

.venv/.installed-cluster: requirements-cluster.lock .venv/.installed-spark
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-cluster.lock
	@touch $@

.venv/.installed: requirements.lock requirements-uv.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else f"Catchment needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}: make setup PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@touch $@

demo: setup  ## Everything once: sandbox, ingest, build, tests of the data, docs, and a summary
	@python -m sandbox.demo

ingest: setup  ## Read what is new from all configured sources into raw_<system>
	@python -m ingestion run

build: setup  ## Build and test the models (dbt build)
	@dbt build

docs: setup  ## Generate the docs; `dbt docs serve` shows them
	@dbt docs generate

metrics: setup  ## Write docs/metrics.md, what the figures mean, from the definitions beside the marts
	@python docs/metrics.py

test: setup  ## Run the project's tests, but for those that build whole companies
	@python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/long --ignore tests/chaos --ignore tests/parity --ignore tests/samples

test-long: setup  ## Run those that build whole companies: marts beside what is true, pages of the docs as they stand
	@python -m pytest tests/long -n 2 --dist loadfile --no-loadscope-reorder

lint: setup  ## Check format and style of Python and SQL
	@ruff check . && ruff format --check . && sqlfmt --check -q models macros tests

format: setup  ## Format Python and SQL
	@ruff check -q --fix . ; ruff format -q . && sqlfmt -q models macros tests

bench: setup  ## Measure PostgreSQL to DuckDB against other programs (ROWS=2000000 ROUNDS=3 CONTESTANTS=... SVG=...)
	@python benchmarks/databases.py

bench-rest: setup  ## Measure pages of a REST API to DuckDB against dlt and a bare loop (PAGES=200 ROUNDS=3 CONTESTANTS=...)
	@python benchmarks/rest.py

bench-sessions: setup  ## Measure how long sessions take to be made of events, of all and of 1 % new ones (EVENTS=20000000)
	@PYTHONPATH=. python benchmarks/sessions.py

bench-events: setup  ## Measure archives of events to DuckDB beside DuckDB's own reader (EVENTS=1000000 ROUNDS=3)
	@python benchmarks/events.py

bench-devices: setup  ## Measure messages of devices to the spool beside the broker's own client (MESSAGES=200000 ROUNDS=3 RATE=2000)
	@PYTHONPATH=. python benchmarks/devices.py

bench-capture: setup  ## Measure changes of a PostgreSQL to the spool beside the server's own client (CHANGES=200000 ROUNDS=3)
	@PYTHONPATH=. python benchmarks/capture.py

bench-files: setup  ## Measure many small documents, spreadsheets and pictures (FILES=10000)
	@PYTHONPATH=. python benchmarks/files.py

bench-identity: setup  ## Measure who is found to be who: beside splink, by share of defects, a million identifiers (ROUNDS=3 DIRTS="0 0.05")
	@PYTHONPATH=. python benchmarks/identity.py

bench-sentiment: setup  ## Measure the sentiment of texts on labelled ones (FILES="a.tsv b.tsv", lines of label, tab, text)
	@python benchmarks/sentiment.py

bench-purchases: setup  ## Compare the summary of repeat purchases with a published one (TRANSACTIONS=... SUMMARY=..., see the file)
	@python benchmarks/repeat_purchases.py

bench-daily: setup  ## Measure how long the daily commands take
	@python benchmarks/daily.py

bench-scale: .venv/.installed-cluster  ## Measure how ingest and builds grow with the data (SCALES=1,10,50 ENGINES=duckdb,spark)
	@PYTHONPATH=. python benchmarks/scale.py

chaos: setup  ## Kill ingest at random moments (KILLS=10 SEED=...); the marts must not change
	@python -m pytest tests/chaos -n 0 -s

chaos-live: setup  ## Kill what takes from live sources (KILLS=200 SEED=... SECONDS=180); nothing may be lost or doubled
	@python -m pytest tests/chaos/test_devices.py tests/chaos/test_capture.py -n 0 -s

spark-up: .venv/.installed-cluster  ## Start a small Spark cluster on this machine (SPARK_PORT=10000)
	@python -m sandbox.cluster up

spark-down: setup  ## Stop it; its tables stay
	@python -m sandbox.cluster down

parity: .venv/.installed-cluster  ## Build the marts on DuckDB and on Spark, and compare every row (SCALE=0.1)
	@python -m pytest tests/parity -n 0 -s

samples: setup  ## Compare every table of SAMPLE_DATABASES (JSON: name -> URL) with what lands
	@python -m pytest tests/samples -n 0 -s

LOCK = uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml
lock: setup  ## Renew the lock files from pyproject.toml
	@$(LOCK) --extra sandbox --extra dev -o requirements.lock
	@$(LOCK) --extra spark -c requirements.lock -o requirements-spark.lock
	@$(LOCK) --extra spark --extra cluster -c requirements-spark.lock -c requirements.lock -o requirements-cluster.lock

clean:  ## Remove the warehouse, the sandbox, and what dbt wrote
	@test ! -x $(BIN)/python || $(BIN)/python -m sandbox reset
	@rm -rf warehouse target logs

.PHONY: help setup demo ingest build docs metrics test test-long lint format bench bench-rest bench-sessions bench-events bench-devices bench-capture bench-files bench-identity bench-sentiment bench-purchases bench-daily bench-scale chaos chaos-live \
	spark-up spark-down parity samples lock clean
