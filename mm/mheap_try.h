/* SPDX-License-Identifier: MIT */
/*
 * mheap_try.h (level 5) - frames and spans for callers that cannot wait: NMIs, and whoever says
 * SLATE_ANYCTX. Every lock is tried only, so nobody can wait for anybody, and an NMI that
 * interrupted who holds one finds it busy.
 *
 * To give back takes locks, too, and they may be busy by then. So what is taken first are frames,
 * as if the caller owned them: mcache_defer_frames() takes those back in any context. All else of a
 * span is taken under all of its locks at once, or not at all.
 */
#ifndef MM_MHEAP_TRY_H
#define MM_MHEAP_TRY_H

#include "mm/mheap.h"

/* A run of frames that its caller owns; pages 0: none. */
struct mheap_frames {
	pfn_t pfn;
	size_t pages;
	unsigned node; /* that they are of */
	bool zero;     /* they read as zero */
};

/* As mheap_alloc_pages(), up to 512 frames. fit may be NULL. */
struct mheap_frames mheap_try_frames(size_t n, const struct page_fit *fit, unsigned preferred);

/* They become metadata for good, or until whoever gets them counts them otherwise. */
void mheap_frames_to_metadata(const struct mheap_frames *frames);

/* What a span is made of, as far as it is taken first. Whatever has pages in the end came to
 * nothing, and is the caller's to free. */
struct mheap_parts {
	struct mheap_frames frames;
	struct mheap_frames table; /* debug builds: of its witnesses */
};

/* What is asked for. */
struct mheap_wish {
	size_t pages;
	size_t align_pages;
	size_t objects;
	bool bits; /* in a bitmap of its own */
	bool reserve;
};

/* Take them, and see to it that there are structs. False: a lock is busy, or there is no memory. */
bool mheap_try_parts(const struct mheap_wish *wish, struct mheap_parts *parts);

/* A span of objects out of the parts, published; NULL: they are still the caller's. Its mcentral's
 * lock may be held. */
struct mspan *mheap_try_span(unsigned span_class, struct mheap_parts *parts);

/* The same: a large object that is all of the frames. */
struct mspan *mheap_try_large(struct mheap_parts *parts);

#endif
