# `make help` lists the targets. Everything lives in .venv; nothing else on the machine is changed,
# but for the user's cache folder, where the local stack keeps Kafka's jars.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
EVENTS ?=
BUNDLE ?=
POLICY ?=
JSON ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-training setup-console setup-spark setup-browser setup-postgres demo console console-api test test-unit test-serving test-console test-spark test-consumers test-chaos train-smoke train-community train-toxicity train-default lint format lock sbom diagram contracts clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18
	@echo; echo "Commands, after make setup; each has --help:"
	@grep -hE '^# python -m .*:' $(MAKEFILE_LIST) | sed 's/^# python -m \([^:]*\): /  $(subst /,\/,$(PY)) -m \1\t/' | expand -t 60

# python -m worker: run, explain, show, check-config, replay, project, shadow-report, policy simulate
# python -m model: classify texts or chats without Kafka; describe and verify bundles; thresholds of policies
# python -m schemas: contracts and taxonomies
# python -m deploy.local: a local Kafka and Redis: up, down, status
# python -m deploy.demo: the demo, with options of its own
# python -m deploy.console_demo: what make console runs, with options of its own
# python -m deploy.kafka: topics and least rights on a cluster
# python -m deploy.spark: archives in Parquet, judged by Spark (make setup-spark)
# python -m deploy.image_size: what the image adds to its base
# python -m deploy.go_tools: helm and promtool in the versions that the tests use
# python -m loadtest: load, comparisons, sizing, soak
# python -m loadtest.peers.infinity_folder: a bundle as infinity-emb serves it, for the comparison over HTTP
# python -m console: the HTTP API (make setup-console)
# python -m training_pipeline: labelled chats in, bundle out (make setup-training)
# python -m training_pipeline.data: its data stages alone
# python -m training_pipeline.synthesise: chats from a language model

setup: $(VENV)/.setup  ## .venv with everything but the training extra

$(VENV)/.setup: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"error: found Python {v[0]}.{v[1]}, expected 3.11 or newer; run make PYTHON=/path/to/python3.11")'
	@echo "setting up $(VENV): about 100 packages, 310 MB of downloads, 980 MB on disk"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

setup-training: $(VENV)/.setup-training  ## adds torch and the rest of the training extra

$(VENV)/.setup-training: $(VENV)/.setup requirements-training.lock
	@echo "adding the training extra to $(VENV): torch and its CUDA libraries, about 3 GB of downloads, 6 GB on disk"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-training.lock
	@touch $@

setup-console: $(VENV)/.setup-console  ## adds the HTTP API and its pages, and the clients that they are tested with

$(VENV)/.setup-console: $(VENV)/.setup requirements-console.lock requirements-console-clients.lock
	@echo "adding the console extra to $(VENV): FastAPI, clients and playwright, about 70 MB of downloads"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-console.lock \
		-r requirements-console-clients.lock
	@touch $@

setup-spark: $(VENV)/.setup-spark  ## adds Spark, for archives on many machines and for its tests; needs Java 17

$(VENV)/.setup-spark: $(VENV)/.setup requirements-spark.lock
	@echo "adding the spark extra to $(VENV): pyspark, about 460 MB of downloads, 500 MB on disk"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

# CHROMIUM= names another one, which is not installed for you. apt-get waits for another one of its kind. Its
# update ends well without a network, and badly for a list that has nothing to do with this: what counts is whether there is a
# Chromium in the end.
setup-browser:  ## Chromium for the tests of the pages, by apt-get as root on Debian; nothing where there is one
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { \
		[ -n "$$CHROMIUM" ] || { echo "installing Debian's chromium: about 120 MB of downloads"; \
			apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
				-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 chromium >/dev/null; }; \
		command -v "$${CHROMIUM:-chromium}" >/dev/null; \
	} || { echo "error: found no program $${CHROMIUM:-chromium}; expected Chromium; apt-get installs it as root on Debian, from its package servers; else install one and name it: CHROMIUM=/path/to/chromium" >&2; exit 1; }

# POSTGRES_BIN= names the folder of another one, which is not installed for you. The tests start a server of their own.
setup-postgres:  ## PostgreSQL for the tests of the console's database, by apt-get as root on Debian; nothing where there is one
	@found() { ls $${POSTGRES_BIN:-/usr/lib/postgresql/*/bin}/initdb >/dev/null 2>&1; }; found || { \
		[ -n "$$POSTGRES_BIN" ] || { echo "installing Debian's postgresql: about 60 MB of downloads"; \
			apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
				-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 postgresql >/dev/null; }; \
		found; \
	} || { echo "error: found no PostgreSQL in $${POSTGRES_BIN:-/usr/lib/postgresql/*/bin}; expected initdb and pg_ctl; apt-get installs them as root on Debian, from its package servers; else install one and name its folder: POSTGRES_BIN=/path/to/bin" >&2; exit 1; }

demo: setup  ## real broker, real Redis, sample chats in, verdicts out (your own: EVENTS=file.jsonl BUNDLE=dir POLICY=file.toml; JSON=file keeps the numbers)
	@$(PY) -m deploy.demo $(if $(EVENTS),--events $(EVENTS)) $(if $(BUNDLE),--bundle $(BUNDLE)) $(if $(POLICY),--policy $(POLICY)) $(if $(JSON),--json-file $(JSON))

console: setup-console  ## the console over a real Kafka, Redis and worker, with sample chats flowing in; prints each page's address; Ctrl-C ends all
	@$(PY) -m deploy.console_demo

console-api: setup-console  ## the HTTP API and the page to try it alone, with the shipped bundle; no Kafka, no Redis
	@$(PY) -m console serve

# Kinds of tests: tests/markers.py. A folder without the kinds asked for is not even imported: torch may be missing.
PYTEST := $(PY) -m pytest --durations=25 --durations-min=1

# In two processes: the tests of tests/integration wait for brokers most of the time. Each has its own summary.
test: setup setup-training setup-console setup-browser setup-postgres  ## the whole test suite but the examples and Spark, real Kafka and Redis included
	@mkdir -p work; $(PYTEST) --ignore=tests/integration --ignore=tests/deploy/spark -p no:cacheprovider > work/test-others.txt 2>&1 & others=$$!; \
	$(PYTEST) tests/integration; integration_failed=$$?; \
	wait $$others; others_failed=$$?; cat work/test-others.txt; exit $$((integration_failed | others_failed))

# In two processes, one for the worker's tests; each has its own summary.
UNIT := $(PYTEST) -m unit --hypothesis-profile=quick -p no:cacheprovider
WORKER_TESTS := tests/worker tests/broker_twin
OTHER_FOLDERS := $(addprefix --ignore=,$(WORKER_TESTS) $(addprefix tests/,integration consumers console training_pipeline deploy/spark))

test-unit: setup  ## what needs no service and no torch; a minute on two CPUs
	@mkdir -p work; $(UNIT) $(WORKER_TESTS) > work/unit-worker.txt 2>&1 & worker=$$!; \
	$(UNIT) $(OTHER_FOLDERS); other_failed=$$?; \
	wait $$worker; worker_failed=$$?; cat work/unit-worker.txt; exit $$((other_failed | worker_failed))

test-serving: setup  ## all that needs no torch
	@$(PYTEST) -m "not training and not console and not spark and not consumers" \
		--ignore=tests/training_pipeline --ignore=tests/console --ignore=tests/deploy/spark \
		--ignore-glob='tests/integration/test_console*'

test-console: setup-console setup-browser setup-postgres  ## the HTTP API, its pages in a real Chromium, its database on a real PostgreSQL
	@$(PYTEST) tests/console

test-spark: setup-spark  ## the Spark job, with two executors on this machine; needs Java 17
	@$(PYTEST) tests/deploy/spark

test-consumers: setup setup-console  ## the programs in examples/, built and run; needs Java 17, Maven, Node 20, Go 1.26
	@$(PYTEST) -m consumers tests/consumers

test-chaos: setup  ## every fault that takes minutes to show: outages, bad lines, churn, limits; before a release
	@$(PYTEST) -rP tests/chaos

train-smoke: setup setup-training  ## every training stage on the shipped sample, from raw chats to a promoted bundle
	@rm -rf work/smoke
	@$(PY) -m training_pipeline run recipes/smoke.yaml

train-community: setup setup-training  ## question, answer or comment: two bundles from the table in data/community, compared
	@$(PY) -m training_pipeline run recipes/community.yaml

train-toxicity: setup setup-training  ## the same for a guardrail, from data/toxicity
	@$(PY) -m training_pipeline run recipes/toxicity.yaml

# Looked for when the file is read, so before anything is installed, also with -j.
ifneq ($(filter train-default,$(MAKECMDGOALS)),)
$(foreach name,TRAIN UNLABELLED DEV,$(if $(wildcard $($(name))),,$(error found TRAIN='$(TRAIN)' UNLABELLED='$(UNLABELLED)' DEV='$(DEV)'; expected three files of chats, see recipes/default.yaml)))
endif

train-default: setup setup-training  ## the shipped bundle anew: TRAIN=, UNLABELLED= and DEV= name the chats
	@$(PY) -m training_pipeline run recipes/teacher.yaml --set data.train=$(TRAIN) --set data.dev=$(DEV)
	@$(PY) -m training_pipeline run recipes/default.yaml --set data.train=$(TRAIN) --set data.unlabelled=$(UNLABELLED) --set data.dev=$(DEV)

lint: setup setup-training setup-console  ## ruff, mypy, import rules, contracts
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports
	@$(PY) -m schemas check
	@$(PY) -m console openapi --check

format: setup  ## let ruff format and fix what it can
	@$(PY) -m ruff format
	@$(PY) -m ruff check --fix

diagram: setup  ## draw docs/architecture.md's imports again
	@$(PY) -m tests.architecture

contracts: setup setup-console  ## generate schemas/json and console/openapi.json again
	@$(PY) -m schemas generate
	@$(PY) -m console openapi

# --universal: one lock for every supported Python and platform. The files name no package index.
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-annotate pyproject.toml
# The peers of the load test classify with the versions just locked for the worker; the rest is their own.
PEERS_LOCK = grep -hE '^(numpy|onnx|onnxruntime|orjson|jiter|tokenizers)==' requirements-training.lock | sed 's/ .$$//' | \
	$(subst pyproject.toml,,$(LOCK)) --constraint -

# What only worker and console import: executors of Spark have no client of Kafka or Redis.
NOT_WITHOUT_KAFKA := $(addprefix --no-emit-package ,confluent-kafka hiredis pybreaker redis)

lock: setup  ## pin the requirements again, with hashes
	$(LOCK) --extra signing -o requirements-serving.lock
	$(LOCK) --extra signing --extra tracing --constraint requirements-training.lock -o requirements-tracing.lock
	$(LOCK) --extra dev -o requirements.lock
	$(LOCK) --extra dev --extra training -o requirements-training.lock
	$(LOCK) --extra signing --extra console --constraint requirements-training.lock -o requirements-console.lock
	$(LOCK) --extra parquet --constraint requirements-training.lock $(NOT_WITHOUT_KAFKA) -o requirements-parquet.lock
	$(LOCK) --extra spark --constraint requirements-training.lock $(NOT_WITHOUT_KAFKA) -o requirements-spark.lock
	$(LOCK) --extra console-clients --constraint requirements-training.lock --constraint requirements-console.lock \
		-o requirements-console-clients.lock
	$(PEERS_LOCK) loadtest/peers/requirements.in -o loadtest/peers/requirements.lock
	$(PEERS_LOCK) loadtest/peers/http_requirements.in -o loadtest/peers/http_requirements.lock
	grep -hE '^onnxruntime==' requirements-training.lock | sed 's/ .$$//' | $(subst --universal,,$(subst pyproject.toml,,$(LOCK))) --constraint - \
		loadtest/peers/infinity_requirements.in -o loadtest/peers/infinity_requirements.lock
	$(subst pyproject.toml,,$(LOCK)) examples/consumers/python/requirements.in -o examples/consumers/python/requirements.lock
	$(subst pyproject.toml,,$(LOCK)) deploy/sbom/requirements.in -o deploy/sbom/requirements.lock

# In an environment of its own: what it brings is nobody else's to import.
.PHONY: sbom
SBOM_VENV := .venv-sbom
SBOM_OUT := work/sbom

$(SBOM_VENV)/.setup: $(VENV)/.setup deploy/sbom/requirements.lock
	@$(VENV)/bin/uv venv --quiet --clear --python $(PY) $(SBOM_VENV)
	@$(VENV)/bin/uv pip install --quiet --python $(SBOM_VENV)/bin/python --require-hashes -r deploy/sbom/requirements.lock
	@touch $@

sbom: $(SBOM_VENV)/.setup  ## CycloneDX lists of what the images hold, made of their locks
	@mkdir -p $(SBOM_OUT)
	@for image in serving console; do \
		$(SBOM_VENV)/bin/cyclonedx-py requirements requirements-$$image.lock --pyproject pyproject.toml --validate \
			--output-reproducible --output-format JSON --output-file $(SBOM_OUT)/$$image.cdx.json || exit; \
		echo "$(SBOM_OUT)/$$image.cdx.json"; done

clean:  ## remove .venv and caches
	rm -rf $(VENV) $(SBOM_VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
