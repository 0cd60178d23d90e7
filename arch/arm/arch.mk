# SPDX-License-Identifier: MIT
#
# Flags of the library on a small 32-bit microcontroller (Cortex-M3): `make lib ARCH=arm`. There is no demo kernel here.
# An arena of 1 MiB fits machines with a few megabytes; SLATE_CFLAGS may choose otherwise.

CROSS_COMPILE ?= arm-none-eabi-
LLVM_TARGET   := thumbv7m-none-eabi
ARCH_CFLAGS   := -mcpu=cortex-m3 -mthumb -mfloat-abi=soft \
	-DSLATE_ARENA_SHIFT=20 -DSLATE_MAX_CPUS=1 -DSLATE_MAX_NODES=1
ARCH_LDFLAGS  := -nostdlib
