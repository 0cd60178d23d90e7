# SPDX-License-Identifier: MIT
#
# Tests, benchmarks and checks; the work is done by the scripts that are named here.

FORMAT_FILES = $(filter-out mm/sizeclass_table.%,$(wildcard lib/*.[ch] mm/*.[ch] boot/*.[ch] kernel/*.[ch] \
	arch/*.h arch/*/*.[ch] include/slate/*.h test-host/*.[ch] test-host/*/*.[ch] host/*.[ch] \
	bench/*.[ch] bench/*/*.[ch] examples/*/*.[ch]))

.PHONY: test test-qemu test-shim test-long bench bench-linux check print-format-files
test:
	@tools/setup.sh test
	$(Q)tools/test.sh

test-long:
	@tools/setup.sh test shim-long
	$(Q)tools/test.sh -L

# T=WORD takes the boots whose name contains it.
test-qemu:
	@tools/setup.sh test
	$(Q)tools/test-qemu.sh $(T)

# Real programs on the malloc library. T=WORD takes those whose name contains it, L=-L the long ones.
test-shim:
	@tools/setup.sh shim $(if $(L),shim-long)
	$(Q)tools/test-shim.sh $(L) $(T)

bench:
	@tools/setup.sh bench
	$(Q)tools/bench.py $(T)

# Both architectures, or T=ARCH; downloads Debian's kernels (some 150 MB).
bench-linux:
	$(Q)tools/bench-linux.sh $(T)

check:
	@tools/setup.sh check
	$(Q)tools/check.sh $(T)

print-format-files:
	@echo $(FORMAT_FILES)
