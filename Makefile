# The front door. `make demo` and `make test` work on a new machine; one build serves both.
JOBS ?= $(shell nproc)
BUILD := build/release

.PHONY: demo test build setup clean format lint
setup:
	tools/setup.sh

build: setup
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target charm

demo: build
	$(BUILD)/bin/charm demo --output demo-run

test: build
	cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS)

format: setup
	tools/format.sh

clean:
	rm -rf build
