/* SPDX-License-Identifier: MIT */
/*
 * string.h - the few string functions of a freestanding program. On a host the C library has them
 * already; there ours are compiled as lib_memcpy ..., so that the same tests run on both sides
 * through LIB_NAME(memcpy).
 */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include <stddef.h>

#if __STDC_HOSTED__
#include <string.h>
#define LIB_NAME(function) lib_##function
#else
#define LIB_NAME(function) function
#endif

/* mem.c: what compilers call on their own, and what a kernel must give to the library. */
void *LIB_NAME(memcpy)(void *restrict to, const void *restrict from, size_t size_bytes);
void *LIB_NAME(memmove)(void *to, const void *from, size_t size_bytes);
void *LIB_NAME(memset)(void *to, int byte, size_t size_bytes);
int LIB_NAME(memcmp)(const void *a, const void *b, size_t size_bytes);

/* string.c */
size_t LIB_NAME(strlen)(const char *s);
size_t LIB_NAME(strnlen)(const char *s, size_t max);
int LIB_NAME(strcmp)(const char *a, const char *b);
int LIB_NAME(strncmp)(const char *a, const char *b, size_t max);
char *LIB_NAME(strchr)(const char *s, int c);
char *LIB_NAME(strstr)(const char *s, const char *sub);

#endif
