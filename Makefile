# The front door. `make demo` and `make test` work on a new machine; one build serves both.
JOBS ?= $(shell nproc)
BUILD := build/release

.PHONY: demo test build setup clean format lint tsan
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

format: setup
	tools/format.sh

# Formatting, clippy, and clang-tidy over src/ (the first run takes as long as a build; later ones what changed).
lint:
	tools/setup.sh --lint
	tools/format.sh --check
	cargo clippy --quiet --locked --all-targets --manifest-path rust/charm_text/Cargo.toml -- -D warnings
	cmake --preset tidy
	cmake --build --preset tidy -j $(JOBS)

# Thread pool, scorer and server client under ThreadSanitizer.
tsan: setup
	cmake --preset tsan
	cmake --build --preset tsan -j $(JOBS) --target unit_model_test
	ctest --preset tsan -R '^unit\.(ThreadPool|Scorer|ScoreStage|ResumedScoring|ServerGenerator|GenerateStage)'

clean:
	rm -rf build
