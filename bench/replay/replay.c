/* SPDX-License-Identifier: MIT */
/*
 * replay.c - does what a file of operations says on whatever malloc this program was started with
 * (LD_PRELOAD), and prints one figure: the nanoseconds, or how much memory the process took.
 *
 * tools/slate-replay writes the file and starts it. The program itself allocates nothing.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u

/* As the file has it, little-endian. */
struct operation {
	char kind; /* a: allocate, p: aligned to a page, r: reallocate, f: free */
	char spare[3];
	uint32_t id;
	uint64_t size_bytes;
};

struct object {
	void *start;
	uint64_t size_bytes;
};

static struct {
	bool measure;
	int statm;
	uint64_t base; /* bytes resident before the first operation */
	uint64_t live;
	uint64_t peak;       /* of live */
	uint64_t taken;      /* resident at the peak */
	uint64_t peak_taken; /* live at that look */
	uint64_t failed;
} run;

static void *map(size_t bytes)
{
	void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (start == MAP_FAILED)
		exit(2);
	return start;
}

static uint64_t resident(void)
{
	char text[128];
	ssize_t n = pread(run.statm, text, sizeof(text) - 1, 0);
	char *space;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	space = strchr(text, ' ');
	return space ? strtoull(space, NULL, 10) * PAGE : 0;
}

static void touch(char *start, uint64_t from, uint64_t end)
{
	for (uint64_t at = from; at < end; at += PAGE)
		*(volatile char *)(start + at) = 1;
	if (end > from)
		*(volatile char *)(start + end - 1) = 1;
}

/* Looks at a peak that is a 256th above the last one. */
static void note(struct object *object, uint64_t from)
{
	touch(object->start, from, object->size_bytes);
	if (run.live > run.peak)
		run.peak = run.live;
	if (run.live < run.peak_taken + run.peak_taken / 256 + 1)
		return;
	run.peak_taken = run.live;
	run.taken = resident() - run.base;
}

static void *ask(const struct operation *op, struct object *object)
{
	if (op->kind == 'a')
		return malloc(op->size_bytes);
	return op->kind == 'p' ? aligned_alloc(PAGE, op->size_bytes)
			       : realloc(object->start, op->size_bytes);
}

static void perform(const struct operation *op, struct object *object)
{
	uint64_t before = op->kind == 'r' ? object->size_bytes : 0;

	if (op->kind == 'f') {
		free(object->start);
		run.live -= object->size_bytes;
		*object = (struct object){NULL, 0};
		return;
	}
	void *start = ask(op, object);

	if (!start) {
		run.failed++;
		return;
	}
	*object = (struct object){start, op->size_bytes};
	if (!run.measure)
		return;
	run.live += op->size_bytes - before;
	note(object, before < op->size_bytes ? before : op->size_bytes);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct stat st;
	int fd = argc == 3 ? open(argv[2], O_RDONLY) : -1;

	if (fd < 0 || fstat(fd, &st) || st.st_size == 0)
		return 2;
	const struct operation *ops =
		mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	size_t count = (size_t)st.st_size / sizeof(*ops);

	if (ops == MAP_FAILED)
		return 2;
	struct object *objects = map((count + 1) * sizeof(*objects));

	run.measure = strcmp(argv[1], "memory") == 0;
	run.statm = open("/proc/self/statm", O_RDONLY);
	/* the first call of all starts the allocator */
	free(malloc(1));
	run.base = resident();
	uint64_t start = now();

	for (size_t i = 0; i < count; i++)
		perform(&ops[i], &objects[ops[i].id]);
	uint64_t end = now();

	char text[160];
	int n = run.measure
			? snprintf(text, sizeof(text),
				   "peak %llu live %llu taken %llu failed %llu\n",
				   (unsigned long long)run.peak, (unsigned long long)run.peak_taken,
				   (unsigned long long)run.taken, (unsigned long long)run.failed)
			: snprintf(text, sizeof(text), "ns %llu failed %llu\n",
				   (unsigned long long)(end - start),
				   (unsigned long long)run.failed);

	return write(STDOUT_FILENO, text, (size_t)n) == n ? 0 : 2;
}
