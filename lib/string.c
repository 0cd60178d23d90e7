/* SPDX-License-Identifier: MIT */
/* string.c - C strings, a byte at a time: nothing on a hot path uses them. */
#include "lib/string.h"

size_t LIB_NAME(strlen)(const char *s)
{
	size_t length = 0;

	while (s[length])
		length++;
	return length;
}

size_t LIB_NAME(strnlen)(const char *s, size_t max)
{
	size_t length = 0;

	while (length < max && s[length])
		length++;
	return length;
}

int LIB_NAME(strncmp)(const char *a, const char *b, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		unsigned char ca = (unsigned char)a[i];
		unsigned char cb = (unsigned char)b[i];

		if (ca != cb)
			return ca < cb ? -1 : 1;
		if (!ca)
			return 0;
	}
	return 0;
}

int LIB_NAME(strcmp)(const char *a, const char *b)
{
	return LIB_NAME(strncmp)(a, b, (size_t)-1);
}

char *LIB_NAME(strchr)(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(size_t)
				s; /* as the C library does: const is the caller's affair */
		if (!*s)
			return NULL;
	}
}

char *LIB_NAME(strstr)(const char *s, const char *sub)
{
	size_t length = LIB_NAME(strlen)(sub);

	for (;; s++) {
		if (LIB_NAME(strncmp)(s, sub, length) == 0)
			return (char *)(size_t)s;
		if (!*s)
			return NULL;
	}
}
