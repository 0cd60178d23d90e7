# SPDX-License-Identifier: MIT
#
# libslate.a: one relocatable object whose only global names are slate_* and the port's weak defaults. Its objects lie
# apart from the kernel's, for SLATE_CFLAGS usually differ.

LIB_DIR  := $(BUILD)/libslate
LIBSLATE := $(BUILD)/libslate.a
LIB_MM_OBJS   := $(MM_SRCS:%.c=$(LIB_DIR)/%.o)
LIB_ASM_OBJS  := $(RSEQ_SRCS:%.S=$(LIB_DIR)/%.S.o)
LIB_HELP_SRCS := $(filter-out lib/mem.c,$(LIB_SRCS))
LIB_HELP_OBJS := $(LIB_HELP_SRCS:%.c=$(LIB_DIR)/%.o)
PUBLIC_HEADERS := $(sort $(wildcard include/slate/*.h))
LIB_HEADERS    := $(PUBLIC_HEADERS:%=$(BUILD)/%)

# The hooks of port.h stay visible: a kernel's own ones replace the weak defaults.
PORT_HOOKS := $(shell sed -n 's/^[a-z].*[ *]\(port_[a-z_]*\)[^a-z_].*/\1/p' include/slate/port.h)

# gcc's LTO objects become code when they are joined; lld does that by itself.
LIB_LD = $(LD) $(ARCH_LDFLAGS)
ifneq ($(findstring -flto,$(SLATE_CFLAGS)),)
ifneq ($(LLVM),1)
LIB_LD = $(CC) $(MM_CFLAGS) -nostdlib -flinker-output=nolto-rel
endif
endif

.PHONY: lib
lib: $(LIBSLATE) $(LIB_HEADERS)
	@$(SIZE) $(LIB_DIR)/slate.o | awk 'NR == 2 { \
		printf "libslate $(ARCH) $(MODE): text %d bytes, data %d, bss %d\n", $$1, $$2, $$3 }'

$(eval $(call stamp,$(LIB_DIR)/flags,$$(CC) $$(LD) $$(MM_CFLAGS) $$(LIB_MM_OBJS) $$(LIB_ASM_OBJS) $$(LIB_HELP_OBJS) framed $$(FRAMED)))

$(LIB_MM_OBJS) $(LIB_HELP_OBJS): $(LIB_DIR)/%.o: %.c $(LIB_DIR)/flags
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(CC) $(MM_CFLAGS) -MMD -MP -c $< -o $@

$(LIB_ASM_OBJS): $(LIB_DIR)/%.S.o: %.S $(LIB_DIR)/flags
	@mkdir -p $(@D)
	@$(say) AS $@
	$(Q)$(CC) $(MM_ASFLAGS) -MMD -MP -c $< -o $@

# An archive, so that only the helpers that mm calls come along.
$(LIB_DIR)/helpers.a: $(LIB_HELP_OBJS)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcsD $@ $^

$(LIB_DIR)/slate.o: $(LIB_MM_OBJS) $(LIB_ASM_OBJS) $(LIB_DIR)/helpers.a
	@$(say) LD $@
	$(Q)$(LIB_LD) -r -o $@.all $(LIB_MM_OBJS) $(LIB_ASM_OBJS) $(LIB_DIR)/helpers.a
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='slate_*' \
		$(PORT_HOOKS:%=--keep-global-symbol=%) $@.all $@

$(LIBSLATE): $(LIB_DIR)/slate.o
	@$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcsD $@ $<

# The headers carry the library's own choices, so that its users need no -DSLATE_X.
$(LIB_HEADERS): $(BUILD)/%: % $(LIB_DIR)/flags
	@mkdir -p $(@D)
	$(Q)tools/install-header $< $@ $(filter -DSLATE_%,$(MM_CFLAGS))

-include $(LIB_MM_OBJS:.o=.d) $(LIB_ASM_OBJS:.o=.d) $(LIB_HELP_OBJS:.o=.d)
