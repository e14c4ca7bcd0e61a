# make book, make test: everything on a fresh machine, in .venv. The lines work without make too.
PYTHON ?= python3
BIN := .venv/bin
QUICK := not slow and not site and not browser
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Else every process that the tests start would compile all of Python's files anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: book page check test serve train bench bench-quality mutants adversary faults fuzz fuzz-guided mutation coverage colab pictures clean

.venv/installed: requirements.txt pyproject.toml ddpm_lite/fused_norm.cpp
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

.venv/tested: .venv/installed requirements-test.txt
	$(BIN)/pip install --quiet -r requirements-test.txt
	touch $@

# Cold, because a page that has not changed is not read again, and its warnings are lost.
book: .venv/installed
	rm -rf $(filter-out _build/vendor,$(wildcard _build/* _build/.[a-z]*))
	$(BIN)/python tools/run_chapters.py
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "Open $(CURDIR)/_build/html/index.html"

# One page of a built book after a change: `make page PAGE=04`.
page: .venv/installed
	$(BIN)/python tools/page.py $(PAGE)

# What a contributor runs before each commit: all that needs neither the built book nor a browser,
# and no training or proof that takes long.
check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m "$(QUICK)"

# One process more than the machine has cores, because browsers are often waited for; each has one thread.
test: PROCESSES = $(shell $(BIN)/python -c "import os; print(1 + os.cpu_count())")
test: .venv/tested
	$(BIN)/python tests/browser/chromium.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(PROCESSES) --dist worksteal --durations=40

serve:
	@test -d _build/html || $(MAKE) book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

train: .venv/installed
	$(BIN)/ddpm-lite train

# Speed beside other projects, some hours; it goes on where it was stopped. `make bench TASK=2M-grey`.
bench: .venv/installed
	$(BIN)/pip install --quiet --no-deps -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/bench.py $(TASK) $(if $(KIND),--kinds $(KIND))

# Seconds of training until the Frechet distance is below fixed levels: `make bench-quality
# TASK=2M-grey`. MINUTES bounds all of it; coloured tasks need TRAIN and TEST, as CIFAR-10's folders.
bench-quality: .venv/installed
	$(BIN)/pip install --quiet --no-deps -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/bench.py $(TASK) --quality $(if $(KIND),--kinds $(KIND)) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(if $(TRAIN),--data $(TRAIN) $(TEST))

# The notebooks for Colab, from the chapters.
colab: .venv/installed
	$(BIN)/python tools/colab.py

# The pictures of the README, after `make book`.
pictures: .venv/installed
	$(BIN)/python tools/pictures.py

mutants: .venv/installed
	$(BIN)/python -m ddpm_lite.symbolic.mutants book/*.md --output book/mutants.json \
	  --reasons book/mutants_reasons.json

# 100,000 pairs of formulas: is anything false called equal?
adversary: .venv/installed
	$(BIN)/python tools/adversary

# 84 trainings to which something happens: kills, a full disk, damaged files, a second run.
faults: .venv/tested
	$(BIN)/python tests/faults

# 100,000 hostile inputs for each reader, an hour for each at the most.
fuzz: .venv/tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz

# As many, from a fuzzer that sees which branches of the code an input takes.
fuzz-guided: .venv/tested
	$(BIN)/pip install --quiet --no-deps -r tests/fuzz/requirements.txt
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/guided.py

# Small changes of one module, and whether its tests notice them, for 20 minutes at the most:
# `make mutation MODULE=schedule`, and without a name any one of them; MINUTES=120 for a whole one.
mutation: .venv/tested
	$(BIN)/pip install --quiet --no-deps -r tests/mutation/requirements.txt
	OMP_NUM_THREADS=1 $(BIN)/pytest -q tests/mutation
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutation $(MODULE) $(if $(MINUTES),--minutes $(MINUTES))

# Which branches of the package the tests take, 95 % at the least; about as long as `make test`
# without the browsers.
coverage: .venv/tested
	$(BIN)/pip install --quiet --no-deps -r tests/mutation/requirements.txt
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -n auto --dist worksteal -m "not site and not browser"
	$(BIN)/coverage combine
	$(BIN)/coverage report

clean:
	rm -rf .venv _build build dist *.egg-info ddpm_lite/*.so
