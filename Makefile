# SPDX-License-Identifier: GPL-2.0
#
# The only entry point. The recipes are in scripts/, each of which says at its top what
# it does; `make` alone lists the verbs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:

ARCH ?= arm64 x86_64
VARIANT ?= base patched
TESTS ?=

export KERNEL_SRC QEMU_SRC IOMMU_ATS_CACHE IOMMU_ATS_CACHE2 FULL
ifeq ($(IOMMU_ATS_CACHE),)
unexport IOMMU_ATS_CACHE
endif
$(foreach a,$(ARCH),$(if $(filter $(a),arm64 x86_64),,$(error unknown ARCH '$(a)': arm64 or x86_64)))
$(foreach v,$(VARIANT),$(if $(filter $(v),base patched debug kcsan rt),,\
	$(error unknown VARIANT '$(v)': base, patched, debug, kcsan or rt)))
# The kernel's own build reads these from the environment and means other things by them.
unexport ARCH VARIANT TESTS

for-each = for a in $(ARCH); do for v in $(VARIANT); do $(1); done; done

help:
	@echo 'make VERB [ARCH=arm64|x86_64] [VARIANT=base|patched|debug|kcsan|rt] [TESTS="glob glob"]'
	@echo
	@echo 'demo       everything from a fresh machine, then base and patched kernels side by side'
	@echo 'check      everything from a fresh machine, then all checks and tests; FULL=1 runs debug'
	@echo '           kernels on all machines, and builds whole kernels for each patch'
	@echo
	@echo 'setup      packages, kernel source and QEMU source, as far as missing'
	@echo 'tree       build/linux: the base commit with patches/linux-7.2 applied by git am'
	@echo 'export     the commits of build/linux back into patches/linux-7.2'
	@echo 'kernel     kernels for the guests: base, patched; patched with KASAN and lockdep (debug),'
	@echo '           with KCSAN (kcsan), with PREEMPT_RT (rt)'
	@echo 'qemu       QEMU with the project'"'"'s model'
	@echo 'modules    the driver of the exerciser'
	@echo 'selftests  the tests that run in the guests'
	@echo 'vm         a shell in a guest'
	@echo 'test       the tests, or those whose name (file.case) fits one of TESTS'
	@echo 'soak       the stress test race.stress for HOURS=, on patched, debug, kcsan and rt kernels'
	@echo 'bench      what devices that answer pay: instructions on base and patched kernels, plots'
	@echo 'static     checks that need no guest; FULL=1 builds whole kernels for each patch'
	@echo 'clean      removes what was built; build/linux and downloads stay'
	@echo 'distclean  removes build/'
	@echo
	@echo 'KERNEL_SRC=, QEMU_SRC=  sources to use instead of Debian'"'"'s'
	@echo 'IOMMU_ATS_CACHE=        where downloads and compiled trees are kept'

demo:
	@scripts/demo

check:
	@scripts/check

setup:
	@scripts/setup

# The same for verbs that need it: says nothing unless something was missing.
ready:
	@scripts/setup --quiet

tree: ready
	@scripts/kernel-tree

export:
	@scripts/series export

kernel: tree
	@$(call for-each,scripts/build kernel $$a $$v)

qemu: ready
	@scripts/qemu-tree

modules: kernel
	@$(call for-each,scripts/build modules $$a $$v)

selftests: tree
	@for a in $(ARCH); do scripts/build selftests $$a; done

# One guest: arm64 and the patched kernel unless told otherwise.
vm: ARCH := $(if $(filter-out file undefined,$(origin ARCH)),$(ARCH),arm64)
vm: VARIANT := $(if $(filter-out file undefined,$(origin VARIANT)),$(VARIANT),patched)
vm: qemu modules selftests
	@scripts/vm $(ARCH) $(VARIANT)

# Every guest's tests are run, whatever comes of another's.
test: qemu modules selftests
	@set -f; rc=0; $(call for-each,scripts/run-tests $$a $$v $(TESTS) || rc=$$?); exit $$rc

soak:
	@ARCH="$(ARCH)" VARIANT="$(if $(filter-out file undefined,$(origin VARIANT)),$(VARIANT))" scripts/soak

bench:
	@ARCH="$(ARCH)" scripts/bench

static: tree
	@scripts/check-static

clean:
	@cd build 2>/dev/null || exit 0; \
	rm -rf bench headers kernel log modules qemu results selftests soak static vm *.lock tmp.*

distclean:
	@if scripts/kernel-tree unexported; then \
		echo "build/linux holds work that is not in patches/linux-7.2: run 'make export', or move it away" >&2; \
		exit 1; \
	fi
	@rm -rf build

.PHONY: help demo check setup ready tree export kernel qemu modules selftests vm test soak bench static clean distclean
