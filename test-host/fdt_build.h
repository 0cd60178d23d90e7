/* SPDX-License-Identifier: MIT */
/*
 * fdt_build.h - writes flattened device trees for tests, well-formed unless the test spoils them.
 */
#ifndef TEST_FDT_BUILD_H
#define TEST_FDT_BUILD_H

#include <stddef.h>
#include <stdint.h>

#define FDT_BUILD_MAX 8192

struct fdt_build {
	uint8_t reserve[256];
	uint8_t structure[FDT_BUILD_MAX];
	uint8_t strings[1024];
	size_t reserve_bytes;
	size_t struct_bytes;
	size_t strings_bytes;
	uint32_t version; /* 17; 16 has no length of the structure block */
};

void fdt_build_start(struct fdt_build *b);
void fdt_build_reserve(struct fdt_build *b, uint64_t base, uint64_t size_bytes);
void fdt_build_begin(struct fdt_build *b, const char *name);
void fdt_build_end(struct fdt_build *b);
void fdt_build_nop(struct fdt_build *b);

/* Properties of bytes, of a string, and of n 32-bit cells that follow. */
void fdt_build_bytes(struct fdt_build *b, const char *name, const void *data, size_t size_bytes);
void fdt_build_string(struct fdt_build *b, const char *name, const char *value);
void fdt_build_cells(struct fdt_build *b, const char *name, size_t n, ...);

#define FDT_CELLS(b, name, ...) \
	fdt_build_cells(b, name, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), __VA_ARGS__)

/* A raw token, for spoilt trees. */
void fdt_build_token(struct fdt_build *b, uint32_t token);

/*
 * The blob in malloc()ed memory of exactly its size, so that ASan sees every byte that is read
 * beyond it.
 */
uint8_t *fdt_build_finish(struct fdt_build *b, size_t *size_bytes);

void fdt_put32(uint8_t *p, uint32_t value);
uint32_t fdt_get32(const uint8_t *p);

/*
 * A whole machine: memory on two nodes, reservations of each kind, initrd, four CPUs, GIC of
 * version 2 or 3, timer, UARTs, virtio.
 */
uint8_t *fdt_build_machine(unsigned gic_version, size_t *size_bytes);

#endif
