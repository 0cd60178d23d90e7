/* SPDX-License-Identifier: MIT */
/* config.c (level 0) - the symbol that names the library's configuration; config.h explains it. */
#include <slate/config.h>

const char SLATE_CONFIG_SYMBOL = 0;
