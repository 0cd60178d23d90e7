# SPDX-License-Identifier: MIT
#
# Tests, benchmarks and checks; the work is done by the scripts that are named here.

FORMAT_FILES = $(filter-out mm/sizeclass_table.%,$(wildcard lib/*.[ch] mm/*.[ch] boot/*.[ch] kernel/*.[ch] \
	arch/*.h arch/*/*.[ch] include/slate/*.h test-host/*.[ch] bench/*.[ch] examples/*/*.[ch]))

.PHONY: set-up-host
set-up-host:
	@tools/setup.sh host

.PHONY: check print-format-files
check:
	@tools/setup.sh check
	@tools/check.sh

print-format-files:
	@echo $(FORMAT_FILES)
