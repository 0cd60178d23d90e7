# SPDX-License-Identifier: MIT
#
# The allocator under the deterministic scheduler (test-host/schedule/): a program of its own, once as it is and once
# with each bug of bugs.txt. mm/ is compiled as a release with interrupts off as protection, for four CPUs and a small
# machine. Included by host.mk; test_schedule runs the programs.

SCHED_DIR   := build/host-schedule
SCHED_MM    := $(MM_SRCS) $(filter-out lib/mem.c,$(LIB_SRCS))
SCHED_SRCS  := $(sort $(wildcard test-host/schedule/*.c))
SCHED_BUGS  := $(shell sed -n 's/^bug \([^ ]*\) .*/\1/p' test-host/schedule/bugs.txt)
SCHED_PROGS := $(SCHED_DIR)/schedule $(SCHED_BUGS:%=$(SCHED_DIR)/bug-%/schedule)
SCHED_MM_OBJS := $(SCHED_MM:%.c=$(SCHED_DIR)/%.o)
SCHED_OBJS  := $(SCHED_SRCS:%.c=$(SCHED_DIR)/%.o)

# No debug information, which takes a third of the time to build. No position independence: addresses are the same in every run, and so are traces.
SCHED_CFLAGS := -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -O2 -fno-pie -fno-common -fno-strict-aliasing \
	-DSLATE_PROTECT=0 -DSLATE_DEBUG=0 -DSLATE_MAX_CPUS=4 -DSLATE_MAX_NODES=1 -DSLATE_ARENA_SHIFT=20 \
	-DSLATE_PADDR_BITS=32 -DSLATE_RESERVE_SHIFT=31 -DSLATE_LARGE_CACHE_SHIFT=2 -DSLATE_PROFILE_RATE=0 $(HOST_WARNINGS)
# TSan's instrumentation tells of plain accesses (sched_access.c takes the calls); the library itself is not linked.
SCHED_MM_CFLAGS := $(SCHED_CFLAGS) -fsanitize=thread --param=tsan-instrument-func-entry-exit=0 \
	-include test-host/schedule/sched_atomic.h
# The allocator's variables in sections of their own, for the snapshot; names that machine.c and sched_access.c look at.
SCHED_OBJCOPY := objcopy --rename-section .data=mm_data --rename-section .bss=mm_bss \
	--globalize-symbol=magazines --globalize-symbol=capacity
SCHED_PLANT := python3 test-host/schedule/plant.py

$(eval $(call stamp,$(SCHED_DIR)/flags,$(HOST_CC) $$(SCHED_MM_CFLAGS) $$(SCHED_OBJCOPY) $$(SCHED_MM) $$(SCHED_SRCS)))

$(SCHED_MM_OBJS): $(SCHED_DIR)/%.o: %.c $(SCHED_DIR)/flags
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(HOST_CC) $(SCHED_MM_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(SCHED_OBJCOPY) $@

$(SCHED_OBJS): $(SCHED_DIR)/%.o: %.c $(SCHED_DIR)/flags
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(HOST_CC) $(SCHED_CFLAGS) -MMD -MP -c $< -o $@

$(SCHED_DIR)/schedule: $(SCHED_MM_OBJS) $(SCHED_OBJS)
	@$(say) LD $@
	$(Q)$(HOST_CC) -no-pie -o $@ $^

# A copy with the bug in it, compiled in place of the file that it is in (or of one that includes it).
$(SCHED_DIR)/bug-%/schedule: $(SCHED_MM_OBJS) $(SCHED_OBJS) test-host/schedule/bugs.txt test-host/schedule/plant.py
	@$(say) BUG $*
	$(Q)rm -rf $(@D)
	$(Q)$(SCHED_PLANT) plant $* $(@D)
	$(Q)set -e; read -r source < $(@D)/source; file=$(@D)/$$source; [ -e $$file ] || file=$$source; \
		$(HOST_CC) -I$(@D) $(SCHED_MM_CFLAGS) -c $$file -o $(@D)/bug.o; \
		$(SCHED_OBJCOPY) $(@D)/bug.o; \
		$(HOST_CC) -no-pie -o $@ $(@D)/bug.o \
			$$(printf '%s\n' $(SCHED_MM_OBJS) $(SCHED_OBJS) | grep -vxF $(SCHED_DIR)/$${source%.c}.o)

$(SCHED_DIR)/bugs: test-host/schedule/bugs.txt test-host/schedule/plant.py
	@mkdir -p $(@D)
	$(Q)$(SCHED_PLANT) names > $@

# It needs nothing of the host's machine: the programs are machines of their own.
$(HOST_DIR)/test_schedule: $(HOST_DIR)/test-host/test_schedule.o $(SCHED_PROGS) $(SCHED_DIR)/bugs
	@$(say) LD $@
	$(Q)$(HOST_CC) $(SAN_CFLAGS) -o $@ $< -lcmocka

-include $(SCHED_MM_OBJS:.o=.d) $(SCHED_OBJS:.o=.d)
