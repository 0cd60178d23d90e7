# SPDX-License-Identifier: MIT
#
# Host tests: mm/ and lib/ compiled natively, one program a test-host/test_X.c, on cmocka. gcc with ASan and UBSan;
# test_X_threads.c by clang with TSan. SLATE_DEBUG is on unless HOST_DEBUG=0.

HOST_CC    ?= gcc
HOST_CLANG ?= clang
HOST_DEBUG ?= 1
T          ?=
# tests that are not taken without T: test_WORD.c
WITHOUT    ?=
JOBS       ?= $(shell nproc)
SECONDS    ?= 60

HOST_MODE := $(if $(filter 1,$(HOST_DEBUG)),debug,release)
HOST_DIR  := build/host-$(HOST_MODE)
TSAN_DIR  := build/host-tsan-$(HOST_MODE)
FUZZ_DIR  := build/host-fuzz

# boot/ holds parsers, which are plain C as well.
HOST_SUPPORT := $(filter-out test-host/test_% test-host/fuzz_%,$(wildcard test-host/*.c))
HOST_SRCS    := $(MM_SRCS) $(LIB_SRCS) $(sort $(wildcard boot/*.c)) $(sort $(HOST_SUPPORT))

# T=NAME takes test_NAME.c, whether written as NAME, test_NAME or test_NAME.c.
T_NAME       := $(patsubst test_%,%,$(basename $(notdir $(T))))
ALL_TESTS    := $(sort $(wildcard test-host/test_*.c))
HOST_TESTS   := $(if $(T),$(filter test-host/test_$(T_NAME).c,$(ALL_TESTS)),$(filter-out $(WITHOUT:%=test-host/test_%.c),$(ALL_TESTS)))
THREAD_TESTS := $(filter test-host/test_%_threads.c,$(HOST_TESTS))
PLAIN_TESTS  := $(filter-out $(THREAD_TESTS),$(HOST_TESTS))
PLAIN_BINS   := $(PLAIN_TESTS:test-host/%.c=$(HOST_DIR)/%)
THREAD_BINS  := $(THREAD_TESTS:test-host/%.c=$(TSAN_DIR)/%)
FUZZ_BIN     := $(FUZZ_DIR)/fuzz_$(patsubst fuzz_%,%,$(T_NAME))

HOST_WARNINGS := $(filter-out -Wundef,$(WARNINGS))
# A reserve of some frames on the small machines of the tests, too: SLATE_RESERVE_SHIFT.
HOST_BASE  := -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -g -O1 -fno-omit-frame-pointer -fno-common -pthread \
	-DSLATE_DEBUG=$(HOST_DEBUG) -DSLATE_RESERVE_SHIFT=8 -DSLATE_TRACE=1 -DSLATE_PROFILE_RATE=0 $(HOST_WARNINGS) $(SLATE_CFLAGS)
SAN_CFLAGS  = $(HOST_BASE) -fsanitize=address,undefined -fno-sanitize-recover=all
TSAN_CFLAGS = $(HOST_BASE) -fsanitize=thread
FUZZ_CFLAGS = $(HOST_BASE) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

.PHONY: test-host host-build fuzz
test-host:
	@tools/setup.sh host
	@$(MAKE) -j$(JOBS) host-build || { echo "host tests do not build"; echo "0 passed, 1 failed"; exit 1; }
	$(Q)tools/test-host.sh $(if $(T),$(if $(COUNTS),,-v)) $(if $(COUNTS),-c $(COUNTS)) $(PLAIN_BINS) $(THREAD_BINS)

host-build: $(PLAIN_BINS) $(THREAD_BINS)
	@:

# libFuzzer: make fuzz T=NAME SECONDS=60 runs test-host/fuzz_NAME.c on a corpus that it keeps below build/.
fuzz: $(FUZZ_BIN)
	@mkdir -p $(FUZZ_BIN).corpus
	$(Q)$(FUZZ_BIN) -max_total_time=$(SECONDS) -len_control=0 -max_len=1024 -artifact_prefix=$(FUZZ_DIR)/ $(FUZZ_BIN).corpus

# $(call host-build,DIR,COMPILER,FLAGS)
define host_rules
$(call stamp,$(1)/flags,$(2) $(3) $$(HOST_SRCS))

$(1)/%.o: %.c $(1)/flags
	@mkdir -p $$(@D)
	@$$(say) CC $$@
	$$(Q)$(2) $(3) -MMD -MP -c $$< -o $$@

$(1)/%: $(1)/test-host/%.o $$(HOST_SRCS:%.c=$(1)/%.o)
	@$$(say) LD $$@
	$$(Q)$(2) $(3) -o $$@ $$^ $(4)

-include $$(HOST_SRCS:%.c=$(1)/%.d) $$(wildcard $(1)/test-host/*.d)
endef
$(eval $(call host_rules,$(HOST_DIR),$(HOST_CC),$$(SAN_CFLAGS),-lcmocka -lm))
$(eval $(call host_rules,$(TSAN_DIR),$(HOST_CLANG),$$(TSAN_CFLAGS),-lcmocka -lm))
$(eval $(call host_rules,$(FUZZ_DIR),$(HOST_CLANG),$$(FUZZ_CFLAGS),-lcmocka))

include tools/schedule.mk

# Test objects are no by-products.
.SECONDARY:
