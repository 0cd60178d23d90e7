/* SPDX-License-Identifier: MIT */
/* stress_account.c - sums, the lines at the end of a stress run, and its verdict. */
#include "kernel/stress_account.h"

#include "kernel/console.h"
#include "kernel/hotplug.h"
#include "kernel/stress_mix.h"

struct account account_take(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return (struct account){stats.free_pages + stats.released_pages, stats.metadata_pages};
}

void account_add(struct hand *sum, const struct hand *hand)
{
	sum->ops += hand->ops;
	sum->refused += hand->refused;
	sum->wrong += hand->wrong;
	for (unsigned kind = 0; kind < STRESS_KINDS; kind++)
		sum->did[kind] += hand->did[kind];
}

bool account_settle(const struct account *before, const struct hand *sum)
{
	struct account after = account_take();
	size_t contradictions = slate_validate();
	size_t spoilt = hotplug_spoilt();
	bool plugged = stress_can_plug() && hotplug_is_in();
	bool balanced = after.free_pages + after.metadata_pages ==
			before->free_pages + before->metadata_pages;

	kprintf("stress: wrong %llu, contradictions %zu, frames spoilt while away %zu%s\n",
		(unsigned long long)sum->wrong, contradictions, spoilt,
		plugged ? ", the range that was added does not go" : "");
	kprintf("stress: frames free %zu + metadata %zu before, %zu + %zu after: %s\n",
		before->free_pages, before->metadata_pages, after.free_pages, after.metadata_pages,
		balanced ? "equal" : "NOT EQUAL");
	return balanced && sum->wrong == 0 && contradictions == 0 && spoilt == 0 && !plugged;
}

static bool is_possible(enum stress_kind kind)
{
	if (kind == STRESS_ADD || kind == STRESS_REMOVE)
		return stress_can_plug();
	if (kind == STRESS_NMI)
		return stress_has_nmi();
	/* a matter of luck */
	return kind != STRESS_HELD;
}

bool account_kinds(const struct hand *sum, bool must_all)
{
	static const char *const names[STRESS_KINDS] = {
		[STRESS_OBJECT] = "object",
		[STRESS_ZEROED] = "zeroed",
		[STRESS_ALIGNED] = "aligned",
		[STRESS_NOSCAN] = "noscan",
		[STRESS_TINY] = "tiny",
		[STRESS_LARGE] = "large",
		[STRESS_TYPED] = "typed",
		[STRESS_BULK] = "bulk",
		[STRESS_REALLOC] = "realloc",
		[STRESS_FRAME] = "frame",
		[STRESS_RUN] = "run",
		[STRESS_FITTED] = "fitted",
		[STRESS_AT] = "at",
		[STRESS_STACK] = "stack",
		[STRESS_SENT] = "sent",
		[STRESS_POLL] = "poll",
		[STRESS_FLUSH] = "flush",
		[STRESS_SCAVENGE] = "scavenge",
		[STRESS_CACHE] = "cache",
		[STRESS_OFFLINE] = "offline",
		[STRESS_NMI] = "nmi",
		[STRESS_ADD] = "hot-add",
		[STRESS_REMOVE] = "hot-remove",
		[STRESS_HELD] = "remove-held",
	};
	bool ok = true;

	kprintf("stress:");
	for (unsigned kind = 0; kind < STRESS_KINDS; kind++)
		kprintf("%s %s %llu", kind && kind % 8 == 0 ? "\nstress:" : "", names[kind],
			(unsigned long long)sum->did[kind]);
	kprintf("\n");
	for (unsigned kind = 0; kind < STRESS_KINDS; kind++) {
		if (sum->did[kind] || !is_possible(kind) || !must_all)
			continue;
		kprintf("stress: NOTHING of %s was done\n", names[kind]);
		ok = false;
	}
	return ok;
}
