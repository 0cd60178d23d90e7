# SPDX-License-Identifier: MIT
#
# The demo kernel: the allocator, the loaders' parsers, the architecture, the shell, and the pure tests.

MM_SRCS     := $(sort $(wildcard mm/*.c))
LIB_SRCS    := $(sort $(wildcard lib/*.c))
KERNEL_SRCS := $(sort $(wildcard boot/*.c kernel/*.c arch/$(ARCH)/*.c test-host/pure_*.c))
# The restartable sequences: the one part of arch/ that belongs to the library, too.
RSEQ_SRCS   := $(wildcard arch/$(ARCH)/rseq.S)
ARCH_ASM    := $(sort $(wildcard arch/$(ARCH)/*.S))

MM_OBJS     := $(MM_SRCS:%.c=$(BUILD)/%.o) $(LIB_SRCS:%.c=$(BUILD)/%.o)
KERNEL_OBJS := $(KERNEL_SRCS:%.c=$(BUILD)/%.o) $(ARCH_ASM:%.S=$(BUILD)/%.S.o)

LINKER_SCRIPT := $(wildcard arch/$(ARCH)/kernel.ld)
KERNEL        := $(if $(LINKER_SCRIPT),$(BUILD)/slate.elf,no-kernel)
ifeq ($(ARCH),aarch64)
KERNEL += $(BUILD)/slate.img
endif

.PHONY: no-kernel FORCE
no-kernel:
	@echo "ARCH=$(ARCH) has no demo kernel; make lib builds the library." >&2; exit 1

# A stamp is rewritten only when the flags that it holds change, and then what depends on it is rebuilt.
# $(call stamp,FILE,TEXT)
define stamp
$(1): FORCE
	@mkdir -p $$(@D)
	@echo '$$(subst ','\'',$(2))' | cmp -s - $$@ || echo '$$(subst ','\'',$(2))' > $$@
endef
$(eval $(call stamp,$(BUILD)/flags,$$(CC) $$(KERNEL_CFLAGS) $$(COLD) framed $$(FRAMED)))
$(eval $(call stamp,$(BUILD)/link-flags,$$(LD) $$(ARCH_LDFLAGS) $$(MM_OBJS) $$(KERNEL_OBJS)))

$(BUILD)/lib/mem.o: FILE_CFLAGS := $(MEM_CFLAGS)

# What runs at start-up, now and then, for a report or on a walk over everything: small before fast.
COLD := mm/anyctx mm/callstack mm/config mm/deferred mm/evidence mm/evidence_text mm/framemap mm/handover mm/heapmap mm/init \
	mm/kcache mm/mark mm/markcycle mm/markroots mm/marksweep mm/mcache_anyctx mm/mcache_poll mm/mcache_walk mm/mcentral_isolate mm/mcentral_sampled mm/memmap mm/memmap_lint mm/memmap_sweep \
	mm/memrange mm/mheap_try mm/mmdebug mm/numa mm/pagealloc_check mm/pagealloc_isolate \
	mm/pagealloc_release mm/pagealloc_try mm/profile_dump mm/removal mm/report mm/roots \
	mm/scavenger mm/shrinker mm/sizes mm/stats mm/trace mm/tracer mm/validate mm/whois mm/zeroer lib/printf
ifneq ($(DEBUG),1)
$(COLD:%=$(BUILD)/%.o) $(COLD:%=$(BUILD)/libslate/%.o): FILE_CFLAGS := -Os
endif

# What stands between a caller and its call stack, in the heap profile and in what debug builds note.
FRAMED := mm/callstack mm/watch mm/malloc mm/realloc mm/bulk mm/kcache mm/tracer mm/sampled mm/profile
ifeq ($(DEBUG),1)
FRAMED += mm/front
endif
$(FRAMED:%=$(BUILD)/%.o) $(FRAMED:%=$(BUILD)/libslate/%.o): FILE_CFLAGS += -fno-omit-frame-pointer

$(MM_OBJS): $(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(CC) $(KERNEL_MM_CFLAGS) -MMD -MP -c $< -o $@

$(KERNEL_SRCS:%.c=$(BUILD)/%.o): $(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(CC) $(KERNEL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.S.o: %.S $(BUILD)/flags
	@mkdir -p $(@D)
	@$(say) AS $@
	$(Q)$(CC) $(KERNEL_ASFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/slate.elf: $(MM_OBJS) $(KERNEL_OBJS) $(LINKER_SCRIPT) $(BUILD)/link-flags
	@$(say) LD $@
	$(Q)$(LD) $(ARCH_LDFLAGS) --gc-sections -z noexecstack -T $(LINKER_SCRIPT) \
		-Map $(BUILD)/slate.map -o $@ $(KERNEL_OBJS) $(MM_OBJS)

$(BUILD)/slate.img: $(BUILD)/slate.elf
	@$(say) OBJCOPY $@
	$(Q)$(OBJCOPY) -O binary $< $@

-include $(MM_OBJS:.o=.d) $(KERNEL_OBJS:.o=.d)
