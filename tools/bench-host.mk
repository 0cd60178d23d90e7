# SPDX-License-Identifier: MIT
#
# Host benchmarks: mm/ and lib/ compiled natively as a kernel's release is, without its restartable sequences: a thread
# is a CPU. One program a bench/bench_X.c.

BENCH_DIR   := build/host-bench
BENCH_ALL   := $(sort $(wildcard bench/bench_*.c))
BENCH_PROGS := $(if $(T),$(filter bench/bench_$(patsubst bench_%,%,$(basename $(notdir $(T)))).c,$(BENCH_ALL)),$(BENCH_ALL))
BENCH_BINS  := $(BENCH_PROGS:bench/%.c=$(BENCH_DIR)/%)
BENCH_SRCS  := $(MM_SRCS) $(LIB_SRCS) $(sort $(filter-out $(BENCH_ALL),$(wildcard bench/*.c)))

BENCH_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -g -O2 -fno-common -fno-strict-aliasing -pthread \
	-DSLATE_PROTECT=2 -DSLATE_PROFILE=0 $(HOST_WARNINGS) $(SLATE_CFLAGS)

.PHONY: bench-host bench-host-build
bench-host: $(if $(BENCH_BINS),,bench-host-none)
	@$(MAKE) -j$(JOBS) bench-host-build
	$(Q)set -e; for program in $(BENCH_BINS); do $$program; done

.PHONY: bench-host-none
bench-host-none:
	@echo "bench-host: no such benchmark: $(T)" >&2; exit 1

bench-host-build: $(BENCH_BINS)
	@:

$(eval $(call stamp,$(BENCH_DIR)/flags,$(HOST_CC) $$(BENCH_CFLAGS) $$(BENCH_SRCS)))

BENCH_OBJS := $(patsubst %.c,$(BENCH_DIR)/%.o,$(BENCH_SRCS))

$(BENCH_DIR)/%.o: %.c $(BENCH_DIR)/flags
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(HOST_CC) $(BENCH_CFLAGS) -MMD -MP -c $< -o $@

$(BENCH_DIR)/%: $(BENCH_DIR)/bench/%.o $(BENCH_OBJS)
	@$(say) LD $@
	$(Q)$(HOST_CC) $(BENCH_CFLAGS) -o $@ $^

-include $(BENCH_SRCS:%.c=$(BENCH_DIR)/%.d) $(wildcard $(BENCH_DIR)/bench/*.d)
