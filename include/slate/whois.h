/* SPDX-License-Identifier: MIT */
/*
 * whois.h - what lies at an address: for debuggers, reports and people who hold a stray pointer.
 */
#ifndef SLATE_WHOIS_H
#define SLATE_WHOIS_H

#include <slate/types.h>

enum slate_whois_kind {
	SLATE_WHOIS_FOREIGN,  /* no memory that was added */
	SLATE_WHOIS_FREE,     /* a free frame */
	SLATE_WHOIS_RELEASED, /* a free frame, given back to whoever owns the machine */
	SLATE_WHOIS_FRAME,    /* a caller's frame */
	SLATE_WHOIS_METADATA,
	SLATE_WHOIS_OBJECT, /* inside an object of a span */
	SLATE_WHOIS_TAIL,   /* inside a span, behind its last object */
	SLATE_WHOIS_LARGE,  /* inside a large object */
	SLATE_WHOIS_STACK,
	SLATE_WHOIS_GUARD, /* the frames below a stack */
	SLATE_WHOIS_KINDS
};

/* Who has an object, a single frame or a stack. */
enum slate_whois_holder {
	SLATE_HELD_BY_NOBODY, /* free in its span */
	SLATE_HELD_BY_CALLER,
	SLATE_HELD_BY_CPU,        /* free, in a magazine of that CPU */
	SLATE_HELD_BY_DEPOT,      /* free, on its way between CPUs */
	SLATE_HELD_BY_QUARANTINE, /* debug builds: freed, not yet to be given out again */
	SLATE_HELD_BY_REPORT,     /* debug builds: never to be given out again */
};

/* Return addresses that are kept of a call. */
#define SLATE_EVENT_DEPTH 6u

/* An allocation or a free, as debug builds remember it. */
struct slate_event {
	bool known;
	unsigned cpu;
	uint32_t tick; /* port_tick() */
	size_t depth;
	uintptr_t pcs[SLATE_EVENT_DEPTH]; /* of the callers, innermost first */
};

struct slate_whois {
	enum slate_whois_kind kind;
	enum slate_whois_holder holder;
	unsigned cpu;     /* of HELD_BY_CPU */
	uintptr_t object; /* first byte of the object, stack or frame; 0: none */
	size_t object_bytes;
	size_t number;       /* of the object in its span, from 0 */
	size_t objects;      /* that the span has room for */
	unsigned span_class; /* of OBJECT and TAIL */
	uintptr_t span_base; /* 0: no span */
	size_t span_pages;
	/* debug builds, of OBJECT, LARGE and STACK: */
	bool asked_known;
	size_t asked_bytes; /* as its owner asked for, or its last one */
	struct slate_event allocated;
	struct slate_event freed;
};

/*
 * What lies at any address, garbage included. Takes the page allocators' locks, one at a time;
 * reads spans and magazines of other CPUs without one: exact while they stand still, else a
 * moment's answer. Time: some thousand instructions. Context: any but NMI.
 */
void slate_whois(const void *address, struct slate_whois *who);

/*
 * The same as one line without a newline, for instance "0xffff800000050c9a: 2 bytes into object 30
 * of 118, 104 bytes at 0xffff800000050c98, class 26, span 0xffff800000050000+3: taken"; in debug
 * builds it ends in ", asked for 100 bytes". buf of
 * size_bytes is always terminated. Returns the length that the whole text needs. Context: any.
 */
size_t slate_whois_format(char *buf, size_t size_bytes, const void *address,
			  const struct slate_whois *who);

/*
 * "freed on CPU 1 at 2349871, called from: 0xffffffff8010c1e3 0xffffffff80131cad", if what is
 * "freed"; buf, result and context as above.
 */
size_t slate_event_format(char *buf, size_t size_bytes, const char *what,
			  const struct slate_event *event);

/* What somebody has, and since when. */
struct slate_held {
	const void *object; /* an object's or a stack's first byte */
	size_t size_bytes;  /* as its owner asked for */
	struct slate_event allocated;
};

/*
 * Debug builds: call fn for every object and every stack that somebody has, by node and span, until
 * it returns false. In release builds nothing is known of them, and fn is not called. Other CPUs
 * may run: what changes meanwhile may be missed. fn runs under a lock with interrupts off: it may
 * neither allocate nor free. Context: any but NMI.
 */
void slate_held_walk(bool (*fn)(const struct slate_held *held, void *arg), void *arg);

#endif
