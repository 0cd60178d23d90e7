/* SPDX-License-Identifier: MIT */
/*
 * ops.h - the operations that programs of simulated CPUs are made of. Each takes one number: a slot
 * (shadow.h), with the size in tens of hundreds where one is to be chosen.
 */
#ifndef SCHED_OPS_H
#define SCHED_OPS_H

#include <stdint.h>

typedef void op_fn(unsigned argument);

/* Sizes of objects, for argument = slot + OP_SIZE * size. */
enum op_size {
	OP_PAIR,   /* two objects a span */
	OP_SINGLE, /* one object a span, magazines of eight */
	OP_SMALL,  /* 64 bytes: many objects a span */
	OP_LARGE,  /* a span of its own */
	OP_SIZES
};
#define OP_SIZE 100u

/* Measure the classes. After machine_boot(). */
void ops_init(void);

/* The class of a size. */
unsigned ops_class(enum op_size size);

op_fn op_alloc;       /* slate_alloc() into the slot */
op_fn op_anyctx;      /* slate_alloc_flags(ANYCTX) */
op_fn op_tiny;        /* four bytes of a block of tiny objects */
op_fn op_final;       /* a small object with a finalizer */
op_fn op_bulk;        /* two objects into slot and slot + 1 */
op_fn op_free;        /* whatever lies in the slot goes the way it came */
op_fn op_free_anyctx; /* if it is an object or a frame */
op_fn op_free_masked; /* with interrupts disabled: a finalizer has to wait for op_poll */
op_fn op_name;        /* the slot's thing leaves it, and is what op_free_named() frees, ... */
op_fn op_free_named;  /* ... by whomever it is called, and as often */
op_fn op_frame;
op_fn op_run;   /* 4 frames */
op_fn op_pages; /* 3 frames, past the magazines */
op_fn op_anyctx_pages;
op_fn op_stack;
op_fn op_take;       /* mcentral_take() of one object, past the magazines */
op_fn op_look_again; /* the same, where an op_give() must not be missed */
op_fn op_give;       /* mcentral_give() of the slot's object */
op_fn op_defer;      /* mcache_defer() of the slot's object */
op_fn op_span;       /* mheap_alloc_large(), 3 frames */
op_fn op_flush;      /* slate_flush() */
op_fn op_drain;      /* mcache_drain() */
op_fn op_depots;     /* mcache_drain_depots() */
op_fn op_ask;        /* mcache_ask_drain() */
op_fn op_request;    /* the same, with nobody looking after it */
op_fn op_honour;     /* mcache_drain_if_wanted() */
op_fn op_poll;
op_fn op_finalize; /* onfree_poll(), the part of slate_poll() that runs finalizers */
op_fn op_deferred; /* deferred_run() */
op_fn op_offline;
op_fn op_online;
op_fn op_probe; /* arena_span() of that frame of the first op_span() */
op_fn op_stats; /* cached objects of a size are no more than there can be */
op_fn op_validate;
op_fn op_cache_make; /* a typed cache, where there is none; it stays without objects */
op_fn op_cache_end;
op_fn op_cache_stats; /* of its class, or what will be its class */
op_fn op_depot_push;  /* into the test's own depot, from the slot */
op_fn op_depot_pop;
op_fn op_fix_alloc;     /* from the test's own fixalloc */
op_fn op_no_large;      /* freed large objects are not kept */
op_fn op_fill;          /* this CPU's two magazines of a size are full */
op_fn op_fill_give;     /* there is none to take from, and the other one is all but full */
op_fn op_fill_exchange; /* the one to take from is empty, the other one all but full */
op_fn op_warm;          /* ... the one to take from holds some, the other is there */
op_fn op_eat;           /* all frames are taken */

/* The test's own depot and fixalloc, and what the operations remember: as at machine_boot(). */
void ops_reset(void);
void ops_save(void);
void ops_restore(void);

/* Of all that, and the slots. */
uint64_t ops_hash(void);
void ops_keep(void);

/* Nothing was asked for in vain; free all slots, on CPU 0; then the depot and the fixalloc must be
 * whole. */
void ops_finish(void);

#endif
