# `make demo` shows what edge3d does, `make test` runs its tests. Every target sets up .venv first.
READY := .venv/.ready
BIN := .venv/bin

.PHONY: demo test test-arm64 test-dist test-oldest check docs docs-serve dist format clean

demo: $(READY)
	$(BIN)/edge3d demo --out runs/demo

test: $(READY)
	$(BIN)/python -m pytest

# The exported files on an emulated phone's CPU; says so where they had to be skipped.
test-arm64: $(READY)
	@sh scripts/test_arm64.sh

# The core's tests with the oldest dependencies that pyproject.toml allows.
test-oldest:
	@sh scripts/test_oldest.sh

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site in site/; a broken link or reference is an error.
docs: $(READY)
	$(BIN)/python -m mkdocs build --strict

docs-serve: $(READY)
	$(BIN)/python -m mkdocs serve

# A wheel and a source distribution in dist/.
dist: $(READY)
	rm -rf dist build
	$(BIN)/python -m build --outdir dist

# Installs the wheel into a fresh environment and tries it there.
test-dist: dist
	@sh scripts/test_dist.sh

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-oldest runs site dist build .arm64

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	@sh scripts/setup.sh
