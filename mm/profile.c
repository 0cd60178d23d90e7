/* SPDX-License-Identifier: MIT */
/*
 * profile.c (level 7) - buckets in a hash table that only grows. Idea: Go's mprof.go, whose buckets
 * are kept by stack and size, too: what a sample stands for depends on its size.
 */
#include "mm/profile.h"

#include "mm/callstack.h"
#include "mm/lockrank.h"
#include "mm/mheap.h"
#include "mm/sampling.h"

#if SLATE_PROFILE

/* Heads of chains; a chain of the fullest table has 16. */
#define HEADS 256u

_Atomic size_t profile_rate_bytes;
static struct mm_lock lock; /* RANK_PROFILE: adding a bucket */
static struct fixalloc buckets;
static _Atomic(struct profile_bucket *) heads[SLATE_PROFILE ? HEADS : 1]; /* (lock) written */
static size_t count;                                                      /* (lock) */
static _Atomic size_t lost; /* (a) relaxed: a figure */

void profile_init(void)
{
	mm_lock_init(&lock, RANK_PROFILE);
	fixalloc_init(&buckets, "profile bucket", sizeof(struct profile_bucket),
		      _Alignof(struct profile_bucket));
	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		atomic_store_explicit(&heads[i], NULL, memory_order_relaxed);
	count = 0;
	atomic_store_explicit(&lost, 0, memory_order_relaxed);
	profile_set_rate(SLATE_PROFILE_RATE);
}

void profile_set_rate(size_t bytes)
{
	atomic_store_explicit(&profile_rate_bytes,
			      bytes < SAMPLING_MEAN_MAX ? bytes : SAMPLING_MEAN_MAX,
			      memory_order_relaxed);
}

/* ---- Buckets ---- */

/* FNV-1a by words: 2166136261 and 16777619 are its constants for 32 bits. */
static uint32_t hash_of(const struct profile_bucket *key)
{
	uint32_t hash = 2166136261u ^ (uint32_t)key->size_bytes;

	hash = (hash ^ (uint32_t)key->rate_bytes) * 16777619u;

	for (unsigned i = 0; i < key->depth; i++)
		hash = (hash ^ (uint32_t)key->pcs[i]) * 16777619u;
	return hash ^ hash >> 16;
}

static bool is_same(const struct profile_bucket *a, const struct profile_bucket *b)
{
	if (a->hash != b->hash || a->size_bytes != b->size_bytes ||
	    a->rate_bytes != b->rate_bytes || a->depth != b->depth)
		return false;
	for (unsigned i = 0; i < a->depth; i++) {
		if (a->pcs[i] != b->pcs[i])
			return false;
	}
	return true;
}

static struct profile_bucket *find(const struct profile_bucket *key)
{
	/* acquire, all: pairs with the release in add() */
	struct profile_bucket *bucket =
		atomic_load_explicit(&heads[key->hash % HEADS], memory_order_acquire);

	while (bucket && !is_same(bucket, key))
		bucket = atomic_load_explicit(&bucket->next, memory_order_acquire);
	return bucket;
}

/* Publish a copy of key in *spare, unless somebody else was faster. */
static struct profile_bucket *add(const struct profile_bucket *key, struct profile_bucket **spare)
{
	_Atomic(struct profile_bucket *) *head = &heads[key->hash % HEADS];
	unsigned long irq = mm_lock_acquire(&lock);
	struct profile_bucket *bucket = find(key);

	if (!bucket && count < SLATE_PROFILE_BUCKETS) {
		count++;
		bucket = *spare;
		*spare = NULL;
		*bucket = *key;
		/* relaxed: under the lock */
		atomic_init(&bucket->next, atomic_load_explicit(head, memory_order_relaxed));
		/* release: pairs with the acquire in find() and in the walk */
		atomic_store_explicit(head, bucket, memory_order_release);
	}
	mm_lock_release(&lock, irq);
	return bucket;
}

struct profile_bucket *profile_bucket(size_t size_bytes, const void *caller)
{
	struct profile_bucket key = {.size_bytes = size_bytes, .rate_bytes = profile_rate()};
	struct profile_bucket *bucket;
	struct profile_bucket *spare;

	mm_lock_assert_none();
	key.depth = (uint32_t)callstack_take(key.pcs, SLATE_PROFILE_DEPTH, caller);
	key.hash = hash_of(&key);
	bucket = find(&key);
	if (bucket)
		return bucket;
	spare = mheap_alloc_metadata(&buckets);
	if (!spare)
		return NULL;
	bucket = add(&key, &spare);
	if (spare)
		fixalloc_free(&buckets, spare);
	return bucket;
}

/* ---- Counts ---- */

static size_t read(const _Atomic size_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void count_one(_Atomic size_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void profile_count_alloc(struct profile_bucket *bucket)
{
	count_one(&bucket->allocs);
}

void profile_count_free(struct profile_bucket *bucket)
{
	count_one(&bucket->frees);
}

void profile_count_lost(void)
{
	count_one(&lost);
}

/* ---- Reading ---- */

size_t slate_profile_walk(bool (*fn)(const struct slate_profile_bucket *bucket, void *arg),
			  void *arg)
{
	size_t called = 0;
	bool more = true;

	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]) && more; i++) {
		/* acquire, both: pairs with the release in add() */
		const struct profile_bucket *bucket =
			atomic_load_explicit(&heads[i], memory_order_acquire);

		for (; bucket && more;
		     bucket = atomic_load_explicit(&bucket->next, memory_order_acquire)) {
			/* an object's alloc is counted before its free: frees first, and they are
			 * no more */
			size_t frees = read(&bucket->frees);
			const struct slate_profile_bucket view = {
				.size_bytes = bucket->size_bytes,
				.rate_bytes = bucket->rate_bytes,
				.frees = frees,
				.allocs = read(&bucket->allocs),
				.depth = bucket->depth,
				.pcs = bucket->pcs,
			};

			called++;
			more = fn(&view, arg);
		}
	}
	return called;
}

uint64_t slate_profile_estimate(const struct slate_profile_bucket *bucket, size_t samples)
{
	uint64_t chance = sampling_chance(bucket->size_bytes, bucket->rate_bytes);

	/* samples * 2^32 / chance, rounded; so many samples as leave no room for that are no
	 * sample any more */
	return (((uint64_t)samples << 32) + chance / 2) / chance;
}

static bool add_to_info(const struct slate_profile_bucket *bucket, void *arg)
{
	struct slate_profile_info *info = arg;
	uint64_t total = slate_profile_estimate(bucket, bucket->allocs);
	uint64_t in_use = slate_profile_estimate(bucket, bucket->allocs - bucket->frees);

	info->buckets++;
	info->samples += bucket->allocs;
	info->samples_freed += bucket->frees;
	info->objects += in_use;
	info->bytes += in_use * bucket->size_bytes;
	info->total_objects += total;
	info->total_bytes += total * bucket->size_bytes;
	return true;
}

void slate_profile_info(struct slate_profile_info *info)
{
	*info = (struct slate_profile_info){.rate_bytes = profile_rate(), .lost = read(&lost)};
	slate_profile_walk(add_to_info, info);
}

#else

size_t slate_profile_walk(bool (*fn)(const struct slate_profile_bucket *bucket, void *arg),
			  void *arg)
{
	(void)fn;
	(void)arg;
	return 0;
}

uint64_t slate_profile_estimate(const struct slate_profile_bucket *bucket, size_t samples)
{
	(void)bucket;
	return samples;
}

void slate_profile_info(struct slate_profile_info *info)
{
	*info = (struct slate_profile_info){.samples = 0};
}

#endif
