/* SPDX-License-Identifier: MIT */
/*
 * profile_dump.c (level 9) - the heap profile as the text that pprof reads:
 *
 *   heap profile: N: BYTES [N: BYTES] @ heap_v2/RATE
 *   N: BYTES [N: BYTES] @ 0xADDRESS 0xADDRESS ...     a bucket: in use, and ever
 *
 * These are samples; whoever reads it works out what they stand for, by the rate. Buckets of
 * another rate than the one in the first line are converted.
 */
#include <slate/profile.h>

#include "lib/printf.h"
#include "mm/profile.h"
#include "mm/sampling.h"

#if SLATE_PROFILE

/* "0x" and 16 digits and a space for each address, and four numbers. */
#define LINE_BYTES (SLATE_PROFILE_DEPTH * 19 + 120)

struct dump {
	void (*line)(const char *text, void *arg);
	void *arg;
	size_t rate_bytes; /* of the first line */
	/* sums, as samples of that rate */
	uint64_t in_use, in_use_bytes, total, total_bytes;
};

/* Samples of the bucket, had they been taken at the dump's rate. */
static uint64_t converted(const struct dump *dump, const struct slate_profile_bucket *bucket,
			  size_t samples)
{
	uint64_t objects;

	if (bucket->rate_bytes == dump->rate_bytes)
		return samples;
	objects = slate_profile_estimate(bucket, samples);
	return (objects * sampling_chance(bucket->size_bytes, dump->rate_bytes) +
		((uint64_t)1 << 31)) >>
	       32;
}

static bool add_up(const struct slate_profile_bucket *bucket, void *arg)
{
	struct dump *dump = arg;
	uint64_t in_use = converted(dump, bucket, bucket->allocs - bucket->frees);
	uint64_t total = converted(dump, bucket, bucket->allocs);

	dump->in_use += in_use;
	dump->in_use_bytes += in_use * bucket->size_bytes;
	dump->total += total;
	dump->total_bytes += total * bucket->size_bytes;
	return true;
}

static bool write_bucket(const struct slate_profile_bucket *bucket, void *arg)
{
	const struct dump *dump = arg;
	uint64_t in_use = converted(dump, bucket, bucket->allocs - bucket->frees);
	uint64_t total = converted(dump, bucket, bucket->allocs);
	char text[LINE_BYTES];
	size_t length;

	length = (size_t)fmt_snprintf(
		text, sizeof(text), "%llu: %llu [%llu: %llu] @", (unsigned long long)in_use,
		(unsigned long long)(in_use * bucket->size_bytes), (unsigned long long)total,
		(unsigned long long)(total * bucket->size_bytes));
	for (size_t i = 0; i < bucket->depth; i++)
		length += (size_t)fmt_snprintf(text + length, sizeof(text) - length, " 0x%llx",
					       (unsigned long long)bucket->pcs[i]);
	dump->line(text, dump->arg);
	return true;
}

/* A rate of 1 for a profile that is off: its samples then stand for what they stood for. */
void slate_profile_dump(void (*line)(const char *text, void *arg), void *arg)
{
	struct dump dump = {.line = line, .arg = arg, .rate_bytes = profile_rate()};
	char text[LINE_BYTES];

	if (dump.rate_bytes == 0)
		dump.rate_bytes = 1;
	slate_profile_walk(add_up, &dump);
	fmt_snprintf(text, sizeof(text), "heap profile: %llu: %llu [%llu: %llu] @ heap_v2/%zu",
		     (unsigned long long)dump.in_use, (unsigned long long)dump.in_use_bytes,
		     (unsigned long long)dump.total, (unsigned long long)dump.total_bytes,
		     dump.rate_bytes);
	line(text, arg);
	slate_profile_walk(write_bucket, &dump);
}

#else

void slate_profile_dump(void (*line)(const char *text, void *arg), void *arg)
{
	line("heap profile: 0: 0 [0: 0] @ heap_v2/1", arg);
}

#endif
