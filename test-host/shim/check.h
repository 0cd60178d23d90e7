/* SPDX-License-Identifier: MIT */
/* check.h - for programs that run on the malloc library: what fails is named, and ends the program.
 */
#ifndef SHIM_CHECK_H
#define SHIM_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(expr)                                                                \
	do {                                                                       \
		if (!(expr)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expr); \
			fflush(stdout);                                            \
			_Exit(1);                                                  \
		}                                                                  \
	} while (0)

#endif
