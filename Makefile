# The environment comes first: each target brings .venv up by itself, and where it is complete that takes seconds.
PYTHON ?= python3
RUN := .venv/bin/python
# A Python that was named has to be the one of .venv; the default only has to be able to make one.
EXACT := $(if $(filter file default undefined,$(origin PYTHON)),,--this-python)

.DEFAULT_GOAL := help
.PHONY: help env demo bench-mini bench-methods bench-accuracy bench-savings bench-memory bench-distributed bench-soak bench-mutations bench-mmengine bench-configs test check format data release clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

env:  ## bring up .venv (15-20 minutes the first time, seconds afterwards); PYTHON=python3.12 chooses the Python
	@$(PYTHON) -c '' 2>/dev/null || { echo 'make: "$(PYTHON)" is no Python that starts; name one: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) tools/setup_env.py $(EXACT)

demo: env  ## train a detector block by block on real images, and compare its memory with end-to-end
	$(RUN) tools/benchmarks/demo.py $(ARGS)

bench-mini: env  ## train all mini sets locally and end to end, and write docs/results/mini.md (45 minutes)
	$(RUN) tools/benchmarks/mini.py $(ARGS)

bench-methods: env  ## train one classifier by every method, and write docs/results/methods.md (an hour)
	$(RUN) tools/benchmarks/methods.py $(ARGS)

bench-accuracy: env  ## train a ResNet on Fashion-MNIST by every method (hours; goes on where it was stopped): docs/results/accuracy.md
	$(RUN) tools/benchmarks/accuracy.py $(ARGS)

bench-savings: env  ## count what is kept for the backward beside the papers' figures: docs/results/savings.md
	$(RUN) tools/benchmarks/savings.py $(ARGS)

bench-memory: env  ## measure peaks and times beside end-to-end and checkpointing, and write docs/results/memory.md (20 minutes)
	$(RUN) tools/benchmarks/memory.py $(ARGS)

bench-distributed: env  ## time a step in two processes over a slowed network, and write docs/results/distributed.md
	$(RUN) tools/benchmarks/distributed.py $(ARGS)

bench-soak: env data  ## kill and resume runs of twelve configurations, compare to the bit: docs/results/soak.md (20 minutes)
	$(RUN) tools/benchmarks/soak.py $(ARGS)

bench-mutations: env data  ## change values of configs at random: each is refused or trains: docs/results/mutations.md (an hour)
	$(RUN) tools/analysis_tools/mutate.py $(ARGS)

bench-mmengine: env  ## run mmengine's own tests with our classes: SOURCE=checkout of mmengine; docs/results/mmengine_tests.md
	$(RUN) -m pip install --quiet parameterized
	$(RUN) tools/benchmarks/mmengine_tests.py $(SOURCE) $(ARGS)

bench-configs: env data  ## what the tests have a share of: each config, and the seeds of each method and task (10 minutes)
	$(RUN) -m pytest -n 2 --dist loadgroup -q -m slow $(ARGS)

test: env  ## run all tests; ARGS="-k name" narrows
	$(RUN) -m pytest -n 2 --dist loadgroup -q $(ARGS)

check: env  ## lint, formatting, types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: env  ## fix what can be fixed by itself
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

data: env  ## write the small datasets that the examples train on
	$(RUN) tools/dataset_converters/make_mini_dataset.py all

# With an environment of its own, as .venv is what lock.txt says.
RELEASE := work_dirs/release

release: env  ## build wheel and sdist, check them, install the wheel elsewhere and train with it there
	$(RUN) -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet build twine
	rm -rf build dist
	$(RELEASE)/bin/python -m build --outdir dist .
	$(RELEASE)/bin/python -m twine check --strict dist/*
	$(RUN) tools/misc/try_wheel.py dist/*.whl
	@ls -l dist

clean:  ## remove work_dirs and caches, but neither data nor .venv
	rm -rf work_dirs build dist .pytest_cache .ruff_cache .mypy_cache
	find . -path ./.venv -prune -o -path ./data -prune -o -name __pycache__ -type d -exec rm -rf {} +
