# The commands of TerminalAI. "make" builds with what is installed and installs nothing; "make demo", "make test" and
# "make bench" first install the Debian packages they need (root, apt-get), which costs nothing when they are there.

MESON ?= meson
NINJA ?= ninja
# Debian's python3-* packages belong to Debian's interpreter, whatever else stands first in PATH.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
# Threads that can't be interrupted (an encoder's flush) don't hold up the end of an interrupted program: no leaks.
TSAN_RULES = halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1:report_thread_leaks=0
SANITIZE_OPTIONS = ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=1:allocator_may_return_null=1 \
	LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp:$(TSAN_RULES) \
	TBB_ENABLE_SANITIZERS=1
# Rules about files need no sanitizer.
SANITIZED_TESTS = --no-suite tree
SOURCES = $(shell git ls-files '*.c' '*.h')

.PHONY: all soak demo test install deb bench bench-check faults compare-ncnn test-asan test-tsan test-clang tidy format docs clean help

all: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD) terminalai

$(BUILD)/build.ninja:
	@command -v $(MESON) >/dev/null || { scripts/setup build --check; \
		echo "meson is not installed: run 'scripts/setup build' as root, or see scripts/packages.txt"; exit 69; }
	@$(MESON) setup $(BUILD)

help:
	@sed -n 's/^#: //p' Makefile

#: make              builds build/terminalai with what is installed
#: make demo         installs what a build needs, makes a worn tape, restores it: file and before/after picture
demo:
	@scripts/setup demo
	@$(MAKE) --no-print-directory all
	@scripts/demo $(BUILD)/terminalai out/demo

#: make test         installs what the tests need, builds, runs every test
test:
	@scripts/setup test
	@scripts/configure $(BUILD) -Dtests=enabled
	@$(NINJA) -C $(BUILD)
	@$(PYTHON) scripts/run-tests $(BUILD)

#: make install      program, manual, completions, presets, documents (PREFIX, DESTDIR)
install:
	@scripts/configure $(BUILD) -Dprefix=$(PREFIX)
	@$(NINJA) -C $(BUILD) terminalai
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild

#: make deb          a Debian package in out/
deb:
	@scripts/setup deb
	@packaging/deb out

#: make bench        speed, memory, disk, quality beside the rivals
bench:
	@scripts/setup bench
	@$(MAKE) --no-print-directory all
	@$(NINJA) -C $(BUILD) tests/bench/queue_bench
	@$(PYTHON) scripts/bench.py run

#: make bench-check  the same against the targets: one row a figure, fails on a miss
bench-check:
	@scripts/setup bench
	@$(MAKE) --no-print-directory all
	@$(NINJA) -C $(BUILD) tests/bench/queue_bench
	@$(PYTHON) scripts/bench.py check

#: make faults       kills, full disks, failing allocations: everything ends as the manual says
faults:
	@scripts/setup test
	@scripts/configure $(BUILD) -Dtests=enabled
	@$(NINJA) -C $(BUILD)
	@TERMINALAI=$(CURDIR)/$(BUILD)/terminalai $(PYTHON) tests/faults/run.py

#: make compare-ncnn imported models against the ncnn runtime itself (packages of tests/neural/requirements.txt, in out/)
compare-ncnn:
	@scripts/setup test
	@scripts/configure $(BUILD) -Dtests=enabled
	@$(NINJA) -C $(BUILD) tests/neural/ncnn_to_onnx
	@test -x out/compare-ncnn/bin/python || $(PYTHON) -m venv out/compare-ncnn
	@out/compare-ncnn/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/neural/requirements.txt
	@out/compare-ncnn/bin/python tests/neural/compare_ncnn.py $(BUILD)/tests/neural/ncnn_to_onnx

#: make soak         the queue for an hour: jobs come, end and go, and memory doesn't grow
soak: all
	@$(NINJA) -C $(BUILD) tests/bench/queue_bench
	@$(PYTHON) tests/bench/soak.py $(BUILD)/tests/bench/queue_bench $(or $(SECONDS),3600)

#: make test-asan    the tests under AddressSanitizer and UndefinedBehaviorSanitizer, in build-asan
test-asan:
	@scripts/setup test
	@scripts/configure build-asan -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false
	@$(NINJA) -C build-asan
	@$(SANITIZE_OPTIONS) $(PYTHON) scripts/run-tests build-asan -t 5 $(SANITIZED_TESTS)

#: make test-tsan    the tests under ThreadSanitizer, in build-tsan
test-tsan:
	@scripts/setup test
	@scripts/configure build-tsan -Dtests=enabled -Db_sanitize=thread -Db_lundef=false
	@$(NINJA) -C build-tsan
	@$(SANITIZE_OPTIONS) scripts/fixed-addresses $(PYTHON) scripts/run-tests build-tsan -t 10 $(SANITIZED_TESTS)

#: make test-clang   the build and the tests with Clang, in build-clang
test-clang:
	@scripts/setup test
	@CC=clang scripts/configure build-clang -Dtests=enabled
	@$(NINJA) -C build-clang
	@$(PYTHON) scripts/run-tests build-clang

#: make tidy         clang-tidy over the sources
tidy: $(BUILD)/build.ninja
	@clang-tidy --quiet -p $(BUILD) $(filter src/%.c,$(SOURCES))

#: make format       clang-format over sources and tests
format:
	@clang-format -i $(SOURCES)

#: make docs         docs/settings.md, manual page and completions, made by the program
docs: all
	@scripts/make-docs $(BUILD)/terminalai .

#: make clean        removes what the other targets made
clean:
	@rm -rf $(BUILD) build-asan build-tsan build-clang build-deb out
