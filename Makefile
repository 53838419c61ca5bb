# The front door. `make demo` and `make test` work on a new machine; one build serves both.
JOBS ?= $(shell nproc)
BUILD := build/release

.PHONY: demo test test-torch build setup clean format lint tsan wheel dist
setup:
	tools/setup.sh

build: setup
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target charm

demo: build
	$(BUILD)/bin/charm demo --output demo-run

test: build
	cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS); status=$$?; tools/test_summary.sh $(BUILD); exit $$status

# The GPU back end on a CPU, against transformers. Fetches torch (530 MB) the first time.
test-torch:
	tools/setup.sh --torch
	cmake --preset torch
	cmake --build --preset torch -j $(JOBS) --target torch_test charm_torch_plugin
	ctest --preset torch -j $(JOBS) -L torch

# The program, libcharm.so and the Python module with the libraries they need; and a tarball of the same tree.
wheel: build
	cmake --build --preset release -j $(JOBS) --target charm_shared
	python3 tools/wheel.py

dist: build
	cmake --build --preset release -j $(JOBS) --target charm_shared
	python3 tools/wheel.py --tarball

format: setup
	tools/format.sh

# Formatting, clippy, and clang-tidy over src/ (the first run takes as long as a build; later ones what changed).
lint:
	tools/setup.sh --lint
	tools/format.sh --check
	cargo clippy --quiet --locked --all-targets --manifest-path rust/charm_text/Cargo.toml -- -D warnings
	cmake --preset tidy
	cmake --build --preset tidy -j $(JOBS)

# Thread pool, scorer, server client and the server's queue under ThreadSanitizer.
tsan: setup
	cmake --preset tsan
	cmake --build --preset tsan -j $(JOBS) --target unit_model_test
	ctest --preset tsan -R '^unit\.(ThreadPool|ParallelFor|ScoreRows|ResumedScoring|ServerGenerator|GenerateStage|ServeHttp|ServeMetrics|ServeQueue)'

clean:
	rm -rf build
