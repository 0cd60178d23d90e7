/* SPDX-License-Identifier: MIT */
/*
 * pure_pagealloc.c - the page allocator without constraints: growing, allocating, freeing, chosen
 * frames. Constraints and batches are in pure_pagefit.c.
 */
#include "test-host/pure_page_rows.h"

extern const struct pure_test pure_pagealloc_tests[];

/* ---- Growing ---- */

ROW(grow_chunks, .regions = {{C(0), 2048}}, .steps = {LARGEST(2048)}, .free = {{C(0), 2048}})

ROW(grow_inside_a_chunk, .regions = {{C(0) + 3, 7}},
    .steps = {HELD(C(0) + 2, 0), HELD(C(0) + 3, 1), HELD(C(0) + 9, 1), HELD(C(0) + 10, 0),
	      LARGEST(7)},
    .free = {{C(0) + 3, 7}})

ROW(grow_unaligned_ends, .regions = {{C(0) + 511, 514}}, .steps = {LARGEST(514)},
    .free = {{C(0) + 511, 514}})

ROW(grow_frame_zero, .regions = {{0, 130}}, .steps = {ALLOC(1, 0), ALLOC(129, 1)}, .free = {{0, 0}})

ROW(grow_one_frame, .regions = {{C(1) - 1, 1}},
    .steps = {ALLOC(2, NONE), ALLOC(1, C(1) - 1), ALLOC(1, NONE)}, .free = {{0, 0}})

ROW(grow_out_of_order, .regions = {{C(100), 100}, {C(0), 100}, {C(7) + 5, 100}},
    .steps = {ALLOC(1, C(0)), HELD(C(50), 0), LARGEST(100)},
    .free = {{C(0) + 1, 99}, {C(7) + 5, 100}, {C(100), 100}})

ROW(grow_touching, .regions = {{C(0), 700}, {C(0) + 700, 700}},
    .steps = {ALLOC(701, NONE), LARGEST(700), ALLOC(700, C(0))}, .free = {{C(0) + 700, 700}})

/* a tree of three levels, and a chunk that only its last level tells of */
ROW(grow_tall, .regions = {{C(0), 512 * 70}}, .taken = {{C(0), 512 * 69}},
    .steps = {ALLOC(1, C(69)), ALLOC(511, C(69) + 1), ALLOC(1, NONE)}, .free = {{0, 0}})

/* ---- Allocating ---- */

ROW(alloc_ascends, .regions = {{C(0), 512}},
    .steps = {ALLOC(1, C(0)), ALLOC(3, C(0) + 1), ALLOC(1, C(0) + 4)}, .free = {{C(0) + 5, 507}})

ROW(alloc_word, .regions = {{C(0), 512}}, .steps = {ALLOC(64, C(0)), ALLOC(64, C(0) + 64)},
    .free = {{C(0) + 128, 384}})

ROW(alloc_across_words, .regions = {{C(0), 512}}, .taken = {{C(0), 60}},
    .steps = {ALLOC(8, C(0) + 60), ALLOC(130, C(0) + 68)}, .free = {{C(0) + 198, 314}})

ROW(alloc_across_chunks, .regions = {{C(0), 1024}}, .taken = {{C(0), 510}},
    .steps = {ALLOC(5, C(0) + 510)}, .free = {{C(1) + 3, 509}})

ROW(alloc_chunk_and_one, .regions = {{C(0), 2048}},
    .steps = {ALLOC(513, C(0)), ALLOC(513, C(1) + 1)}, .free = {{C(2) + 2, 1022}})

ROW(alloc_everything, .regions = {{C(0) + 5, 3000}},
    .steps = {ALLOC(3001, NONE), ALLOC(3000, C(0) + 5), ALLOC(1, NONE), LARGEST(0)},
    .free = {{0, 0}})

ROW(alloc_nothing, .regions = {{C(0), 512}}, .steps = {ALLOC(0, NONE)}, .free = {{C(0), 512}})

ROW(alloc_too_many, .regions = {{C(0), 512}}, .steps = {ALLOC(SIZE_MAX, NONE), ALLOC(513, NONE)},
    .free = {{C(0), 512}})

ROW(alloc_exact_hole, .regions = {{C(0), 512}}, .taken = {{C(0), 100}, {C(0) + 108, 404}},
    .steps = {ALLOC(9, NONE), ALLOC(8, C(0) + 100)}, .free = {{0, 0}})

ROW(alloc_skips_small_holes, .regions = {{C(0), 2048}},
    .taken = {{C(0), 10}, {C(0) + 17, 500}, {C(1) + 12, 600}},
    .steps = {ALLOC(8, C(2) + 100), ALLOC(7, C(0) + 10), ALLOC(7, C(1) + 5)},
    .free = {{C(2) + 108, 916}})

ROW(alloc_hole_across_two_chunks, .regions = {{C(0), 2048}},
    .taken = {{C(0), 508}, {C(1) + 4, 508}}, .steps = {ALLOC(9, C(2)), ALLOC(8, C(0) + 508)},
    .free = {{C(2) + 9, 1015}})

ROW(alloc_hole_across_three_chunks, .regions = {{C(0), 512 * 5}},
    .taken = {{C(0), 500}, {C(2) + 3, 600}},
    .steps = {ALLOC(600, C(3) + 91), ALLOC(527, C(0) + 500)}, .free = {{C(4) + 179, 333}})

/* a run that begins in one node of eight chunks and ends in the next */
ROW(alloc_across_nodes, .regions = {{C(0), 512 * 20}},
    .taken = {{C(0), 512 * 7 + 3}, {C(9) + 200, 512 * 10}},
    .steps = {ALLOC(512 * 2 + 197, C(7) + 3)}, .free = {{C(19) + 200, 312}})

ROW(alloc_last_frames, .regions = {{C(0), 1000}}, .taken = {{C(0), 990}},
    .steps = {ALLOC(11, NONE), ALLOC(10, C(0) + 990)}, .free = {{0, 0}})

ROW(alloc_next_region, .regions = {{C(0), 100}, {C(10), 600}},
    .steps = {ALLOC(101, C(10)), ALLOC(100, C(0)), ALLOC(1, C(10) + 101)},
    .free = {{C(10) + 102, 498}})

ROW(alloc_one_far_away, .regions = {{C(0), 512 * 70}}, .taken = {{C(0), 512 * 70}},
    .steps = {FREE(C(0), 1, 1), FREE(C(69) + 511, 1, 1), ALLOC(1, C(0)), ALLOC(1, C(69) + 511),
	      ALLOC(1, NONE), FREE(C(33) + 70, 1, 1), ALLOC(1, C(33) + 70)},
    .free = {{0, 0}})

ROW(alloc_remembers_failure, .regions = {{C(0), 1024}}, .taken = {{C(0) + 300, 600}},
    .steps = {ALLOC(301, NONE), ALLOC(301, NONE), FREE(C(0) + 300, 1, 1), ALLOC(301, C(0))},
    .free = {{C(1) + 388, 124}})

/* ---- Freeing ---- */

ROW(free_in_parts, .regions = {{C(0), 512}}, .taken = {{C(0), 512}},
    .steps = {FREE(C(0) + 20, 10, 10), FREE(C(0) + 10, 10, 10), FREE(C(0) + 30, 10, 10),
	      LARGEST(30), FREE(C(0) + 100, 1, 1)},
    .free = {{C(0) + 10, 30}, {C(0) + 100, 1}})

ROW(free_across_chunks, .regions = {{C(0), 2048}}, .taken = {{C(0), 2048}},
    .steps = {FREE(C(0) + 500, 1030, 1030), LARGEST(1030), ALLOC(1030, C(0) + 500),
	      FREE(C(0) + 500, 1030, 1030)},
    .free = {{C(0) + 500, 1030}})

ROW(free_across_regions, .regions = {{C(0), 600}, {C(0) + 600, 600}},
    .taken = {{C(0), 600}, {C(0) + 600, 600}}, .steps = {FREE(C(0) + 590, 20, 20), LARGEST(10)},
    .free = {{C(0) + 590, 10}, {C(0) + 600, 10}})

ROW(free_makes_first, .regions = {{C(0), 1024}}, .taken = {{C(0), 700}},
    .steps = {ALLOC(1, C(0) + 700), FREE(C(0) + 3, 1, 1), ALLOC(1, C(0) + 3), ALLOC(1, C(0) + 701)},
    .free = {{C(0) + 702, 322}})

/* the hint for runs must follow a free run that grows downward, and one that joins two */
ROW(free_joins_before_hint, .regions = {{C(0), 1024}}, .taken = {{C(0) + 4, 16}},
    .steps = {ALLOC(8, C(0) + 20), FREE(C(0) + 4, 4, 4), ALLOC(8, C(0))},
    .free = {{C(0) + 28, 996}})

ROW(free_run_comes_back, .regions = {{C(0), 1024}}, .taken = {{C(0) + 4, 16}},
    .steps = {ALLOC(8, C(0) + 20), FREE(C(0) + 16, 4, 4), FREE(C(0) + 20, 8, 8),
	      ALLOC(8, C(0) + 16)},
    .free = {{C(0), 4}, {C(0) + 24, 1000}})

ROW(free_twice, .regions = {{C(0), 512}}, .taken = {{C(0), 100}},
    .steps = {FREE(C(0) + 50, 10, 10), FREE(C(0) + 50, 10, 0), FREE(C(0) + 45, 10, 5),
	      FREE(C(0) + 59, 2, 0), FREE(C(0) + 60, 41, 40)},
    .free = {{C(0) + 50, 10}, {C(0) + 100, 412}})

ROW(free_twice_long, .regions = {{C(0), 2048}}, .taken = {{C(0), 700}, {C(1) + 189, 700}},
    .steps = {FREE(C(0) + 100, 1300, 600), FREE(C(0), 700, 700), FREE(C(0), 700, 0)},
    .free = {{C(0), 701}, {C(2) + 377, 647}})

ROW(free_foreign, .regions = {{C(0) + 10, 100}, {C(5), 100}},
    .taken = {{C(0) + 10, 100}, {C(5), 100}},
    .steps = {FREE(C(0) + 9, 1, 0), FREE(C(0) + 110, 1, 0), FREE(C(0) + 100, 11, 10),
	      FREE(C(3), 1, 0), FREE(0, 1, 0), FREE(SIZE_MAX, 1, 0), FREE(C(0) + 8, 5, 0)},
    .free = {{0, 0}})

ROW(free_none, .regions = {{C(0), 100}}, .taken = {{C(0), 100}},
    .steps = {FREE(C(0), 0, 0), FREE(SIZE_MAX, 0, 0)}, .free = {{0, 0}})

ROW(free_wraps, .regions = {{C(0), 100}}, .taken = {{C(0), 100}},
    .steps = {FREE(C(0) + 50, SIZE_MAX, 50), FREE(C(0) + 99, SIZE_MAX - C(0), 1)}, .free = {{0, 0}})

/* ---- Chosen frames ---- */

ROW(at_exact, .regions = {{C(0), 1024}},
    .steps = {AT(C(0) + 500, 20, 1), AT(C(0) + 500, 20, 0), AT(C(0) + 519, 1, 0),
	      AT(C(0) + 520, 1, 1), TAKEN(C(0) + 499, 0), TAKEN(C(0) + 500, 1),
	      TAKEN(C(0) + 520, 1), TAKEN(C(0) + 521, 0)},
    .free = {{C(0), 500}, {C(0) + 521, 503}})

ROW(at_overlapping, .regions = {{C(0), 1024}}, .taken = {{C(0) + 300, 1}},
    .steps = {AT(C(0) + 100, 300, 0), AT(C(0) + 300, 300, 0), AT(C(0) + 101, 200, 0),
	      AT(C(0) + 101, 199, 1)},
    .free = {{C(0), 101}, {C(0) + 301, 723}})

ROW(at_outside, .regions = {{C(0) + 10, 100}, {C(0) + 110, 100}},
    .steps = {AT(C(0) + 9, 1, 0), AT(C(0) + 9, 5, 0), AT(C(0) + 209, 2, 0), AT(C(0) + 105, 10, 0),
	      AT(C(0) + 10, 0, 0), AT(C(0) + 20, SIZE_MAX, 0), AT(SIZE_MAX, 1, 0),
	      TAKEN(C(0) + 9, 0), TAKEN(SIZE_MAX, 0)},
    .free = {{C(0) + 10, 100}, {C(0) + 110, 100}})

ROW(at_hint, .regions = {{C(0), 512}},
    .steps = {AT(C(0), 3, 1), ALLOC(2, C(0) + 3), AT(C(0) + 5, 3, 1), ALLOC(2, C(0) + 8)},
    .free = {{C(0) + 10, 502}})

/* A run that comes back is not the one that moved the hint, though it ends where the hint is. */
ROW(free_other_run_of_that_length, .regions = {{C(0), 512}},
    .taken = {{C(0), 96}, {C(0) + 100, 92}},
    .steps = {ALLOC(8, C(0) + 192), FREE(C(0) + 115, 1, 1), FREE(C(0) + 100, 8, 8),
	      ALLOC(8, C(0) + 96)},
    .free = {{C(0) + 104, 4}, {C(0) + 115, 1}, {C(0) + 200, 312}})

/* what lies between the two chunks that changed last must be accounted for, too */
ROW(free_long_between_pending, .regions = {{C(0), 512 * 8}}, .taken = {{C(0), 512 * 8}},
    .steps = {FREE(C(5) + 3, 1, 1), AT(C(5) + 3, 1, 1), FREE(C(1) + 3, 1, 1), AT(C(1) + 3, 1, 1),
	      FREE(C(1), 512 * 5, 512 * 5), ALLOC(512 * 5 + 1, NONE), ALLOC(512 * 5, C(1))},
    .free = {{0, 0}})

ROW(at_long_between_pending, .regions = {{C(0), 512 * 8}},
    .steps = {AT(C(5) + 3, 1, 1), FREE(C(5) + 3, 1, 1), AT(C(1) + 3, 1, 1), FREE(C(1) + 3, 1, 1),
	      AT(C(1), 512 * 5, 1), ALLOC(512 + 513, NONE), ALLOC(1024, C(6)), ALLOC(2, C(0))},
    .free = {{C(0) + 2, 510}})

const struct pure_test pure_pagealloc_tests[] = {
	{"pagealloc: grow chunks", grow_chunks},
	{"pagealloc: grow inside a chunk", grow_inside_a_chunk},
	{"pagealloc: grow unaligned ends", grow_unaligned_ends},
	{"pagealloc: grow frame zero", grow_frame_zero},
	{"pagealloc: grow one frame", grow_one_frame},
	{"pagealloc: grow out of order", grow_out_of_order},
	{"pagealloc: grow touching", grow_touching},
	{"pagealloc: grow tall", grow_tall},
	{"pagealloc: alloc ascends", alloc_ascends},
	{"pagealloc: alloc word", alloc_word},
	{"pagealloc: alloc across words", alloc_across_words},
	{"pagealloc: alloc across chunks", alloc_across_chunks},
	{"pagealloc: alloc chunk and one", alloc_chunk_and_one},
	{"pagealloc: alloc everything", alloc_everything},
	{"pagealloc: alloc nothing", alloc_nothing},
	{"pagealloc: alloc too many", alloc_too_many},
	{"pagealloc: alloc exact hole", alloc_exact_hole},
	{"pagealloc: alloc skips small holes", alloc_skips_small_holes},
	{"pagealloc: alloc hole across two chunks", alloc_hole_across_two_chunks},
	{"pagealloc: alloc hole across three chunks", alloc_hole_across_three_chunks},
	{"pagealloc: alloc across nodes", alloc_across_nodes},
	{"pagealloc: alloc last frames", alloc_last_frames},
	{"pagealloc: alloc next region", alloc_next_region},
	{"pagealloc: alloc one far away", alloc_one_far_away},
	{"pagealloc: alloc remembers failure", alloc_remembers_failure},
	{"pagealloc: free in parts", free_in_parts},
	{"pagealloc: free across chunks", free_across_chunks},
	{"pagealloc: free across regions", free_across_regions},
	{"pagealloc: free makes first", free_makes_first},
	{"pagealloc: free joins before hint", free_joins_before_hint},
	{"pagealloc: free run comes back", free_run_comes_back},
	{"pagealloc: free twice", free_twice},
	{"pagealloc: free twice long", free_twice_long},
	{"pagealloc: free foreign", free_foreign},
	{"pagealloc: free none", free_none},
	{"pagealloc: free wraps", free_wraps},
	{"pagealloc: at exact", at_exact},
	{"pagealloc: at overlapping", at_overlapping},
	{"pagealloc: at outside", at_outside},
	{"pagealloc: at hint", at_hint},
	{"pagealloc: free other run of that length", free_other_run_of_that_length},
	{"pagealloc: free long between pending", free_long_between_pending},
	{"pagealloc: at long between pending", at_long_between_pending},
	{NULL, NULL},
};
