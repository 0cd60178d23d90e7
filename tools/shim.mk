# SPDX-License-Identifier: MIT
#
# The allocator as this host's malloc, for LD_PRELOAD: mm/, lib/ and host/ in one shared object that exports malloc's
# names only. Link-time optimisation makes the hooks of host/port.c part of the paths that call them.

SHIM_DIR  := build/host-release/shim
SHIM      := build/host-release/libslate-malloc.so
SHIM_SRCS := $(MM_SRCS) $(filter-out lib/mem.c,$(LIB_SRCS)) $(sort $(wildcard host/*.c))
SHIM_OBJS := $(SHIM_SRCS:%.c=$(SHIM_DIR)/%.o)

# A slot a thread; no heap profile, which a program has tools of its own for; no reserve, for there is no caller who could ask for it.
# Programs free and allocate in longer waves than kernels do: depots hold more, and shrink when they are idle.
SHIM_CONFIG := -DSLATE_MAGAZINE_SLOTS=512 -DSLATE_DEPOT_BYTES=16777216 -DSLATE_DEPOT_MAGAZINES=4096 -DSLATE_PROTECT=2 -DSLATE_MAX_CPUS=256 -DSLATE_MAX_NODES=1 -DSLATE_RESERVE_SHIFT=31 -DSLATE_PROFILE=0
# -fno-builtin-malloc: or calloc() may become a call of itself.
SHIM_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -g -O2 -fPIC -flto=2 -fvisibility=hidden \
	-ftls-model=initial-exec -fno-common -fno-strict-aliasing -fno-builtin-malloc -fno-semantic-interposition -pthread \
	$(SHIM_CONFIG) $(HOST_WARNINGS) $(SLATE_CFLAGS)

.PHONY: shim
shim: $(SHIM)

$(eval $(call stamp,$(SHIM_DIR)/flags,$(HOST_CC) $$(SHIM_CFLAGS) $$(SHIM_SRCS)))

$(SHIM_OBJS): $(SHIM_DIR)/%.o: %.c $(SHIM_DIR)/flags
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(HOST_CC) $(SHIM_CFLAGS) -MMD -MP -c $< -o $@

$(SHIM): $(SHIM_OBJS)
	@$(say) LD $@
	$(Q)$(HOST_CC) $(SHIM_CFLAGS) -shared -Wl,-z,now -Wl,-soname,libslate-malloc.so -o $@ $^

-include $(SHIM_OBJS:.o=.d)

# ---- Programs that run on it ----

SHIM_TESTS     := $(sort $(wildcard test-host/shim/*.c))
SHIM_TEST_BINS := $(SHIM_TESTS:test-host/%.c=build/host-release/%)
SHIM_TEST_CFLAGS := -std=gnu11 -D_GNU_SOURCE -I. -g -O1 -fno-builtin -pthread $(HOST_WARNINGS)

.PHONY: shim-tests
shim-tests: $(SHIM_TEST_BINS)

$(SHIM_TEST_BINS): build/host-release/shim/%: test-host/shim/%.c test-host/shim/check.h
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(HOST_CC) $(SHIM_TEST_CFLAGS) -o $@ $(filter %.c,$^)

build/host-release/shim/early: host/early.c host/early.h

# ---- Beside other libraries ----

PEER_SRCS := $(sort $(wildcard bench/peers/*.c))
ROUNDS    ?= 5
# T=WORD: rows whose name contains it. An allocation that nobody uses must be made all the same.
.PHONY: bench-peers
bench-peers: $(SHIM) build/bench/rows
	@tools/setup.sh peers
	$(Q)tools/bench-peers.py -r $(ROUNDS) $(if $(T),'$(T)')

build/bench/rows: $(PEER_SRCS) $(wildcard bench/peers/*.h)
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(HOST_CC) -std=gnu11 -D_GNU_SOURCE -I. -g -O2 -fno-builtin -pthread $(HOST_WARNINGS) -o $@ $(PEER_SRCS)

# ---- Traces, run again ----

.PHONY: replay
replay: $(SHIM) build/bench/replay

build/bench/replay: bench/replay/replay.c
	@mkdir -p $(@D)
	@$(say) CC $@
	$(Q)$(HOST_CC) -std=gnu11 -D_GNU_SOURCE -g -O2 -fno-builtin -pthread $(HOST_WARNINGS) -o $@ $<
