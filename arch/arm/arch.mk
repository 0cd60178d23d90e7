# SPDX-License-Identifier: MIT
#
# Flags of the library on a small 32-bit microcontroller (Cortex-M3): `make lib ARCH=arm`. There is no demo kernel here.

CROSS_COMPILE ?= arm-none-eabi-
# clang calls memcpy by that name here; for none-eabi it would ask for __aeabi_memcpy.
LLVM_TARGET   := thumbv7m-none-gnueabi
# Flash is smaller than memory: size before speed.
ARCH_CFLAGS   := -Os -mcpu=cortex-m3 -mthumb -mfloat-abi=soft
ARCH_LDFLAGS  := -nostdlib

# Arenas of 1 MiB, one CPU, one node: unless SLATE_CFLAGS says otherwise.
slate_default = $(if $(findstring -D$(1)=,$(SLATE_CFLAGS)),,-D$(1)=$(2))
ARCH_CFLAGS  += $(call slate_default,SLATE_ARENA_SHIFT,20) $(call slate_default,SLATE_MAX_CPUS,1) \
	$(call slate_default,SLATE_MAX_NODES,1)
