# `make demo` shows what edge3d does, `make test` runs its tests. Both set up .venv first.
READY := .venv/.ready
BIN := .venv/bin

.PHONY: demo test test-arm64 check format clean

demo: $(READY)
	$(BIN)/edge3d demo --out runs/demo

test: $(READY)
	$(BIN)/python -m pytest

# The exported files on an emulated phone's CPU; says that it was skipped where that cannot be.
test-arm64: $(READY)
	@sh scripts/test_arm64.sh

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv runs .arm64

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	@sh scripts/setup.sh
