/* SPDX-License-Identifier: MIT */
/*
 * virtio.c - virtio-mmio, version 2, polled. Names follow the specification ("Virtual I/O Device
 * (VIRTIO) Version 1.2", 2.7 split queues, 4.2 MMIO); all fields are little-endian, as are we.
 */
#include "kernel/virtio.h"

#include <stdatomic.h>

#include <slate/slate.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "lib/string.h"

#define REGS_BYTES   0x200
#define MAGIC        0x74726976u /* "virt" */
#define VERSION      2u
#define WAIT_MS      5000
#define QUEUE_PASSED 0 /* the descriptor that every buffer uses: one is on its way at a time */

/* Registers, in words. */
enum {
	REG_MAGIC = 0x000 / 4,
	REG_VERSION = 0x004 / 4,
	REG_DEVICE_ID = 0x008 / 4,
	REG_DEVICE_FEATURES = 0x010 / 4,
	REG_DEVICE_FEATURES_SEL = 0x014 / 4,
	REG_DRIVER_FEATURES = 0x020 / 4,
	REG_DRIVER_FEATURES_SEL = 0x024 / 4,
	REG_QUEUE_SEL = 0x030 / 4,
	REG_QUEUE_NUM_MAX = 0x034 / 4,
	REG_QUEUE_NUM = 0x038 / 4,
	REG_QUEUE_READY = 0x044 / 4,
	REG_QUEUE_NOTIFY = 0x050 / 4,
	REG_STATUS = 0x070 / 4,
	REG_QUEUE_DESC = 0x080 / 4, /* low word, high word */
	REG_QUEUE_DRIVER = 0x090 / 4,
	REG_QUEUE_DEVICE = 0x0a0 / 4,
};

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

#define FEATURE_VERSION_1 ((uint64_t)1 << 32)

#define DESC_WRITE         2
#define AVAIL_NO_INTERRUPT 1

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct virtq_avail {
	uint16_t flags;
	_Atomic uint16_t idx;
	uint16_t ring[VIRTIO_QUEUE_MAX];
};

struct virtq_used {
	uint16_t flags;
	_Atomic uint16_t idx; /* acquire: pairs with the device's write of the element before it */
	struct {
		uint32_t id;
		uint32_t len;
	} ring[VIRTIO_QUEUE_MAX];
};

/* What lies in a queue's frame. */
struct rings {
	struct virtq_desc desc[VIRTIO_QUEUE_MAX];
	struct virtq_avail avail;
	struct virtq_used used __attribute__((aligned(4)));
};
_Static_assert(sizeof(struct rings) <= SLATE_PAGE_SIZE, "a queue is one frame");
_Static_assert(sizeof(struct virtq_desc) == 16, "descriptors are 16 bytes");

static uint32_t reg_read(const struct virtio_device *device, unsigned reg)
{
	return device->regs[reg];
}

static void reg_write(const struct virtio_device *device, unsigned reg, uint32_t value)
{
	device->regs[reg] = value;
}

/* A 64-bit address into two neighbouring registers. */
static void reg_write_address(const struct virtio_device *device, unsigned reg, const void *at)
{
	uint64_t pa = slate_phys(at).v;

	reg_write(device, reg, (uint32_t)pa);
	reg_write(device, reg + 1, (uint32_t)(pa >> 32));
}

static void add_status(const struct virtio_device *device, uint32_t bits)
{
	reg_write(device, REG_STATUS, reg_read(device, REG_STATUS) | bits);
}

bool virtio_find(struct virtio_device *device, uint32_t id)
{
	for (size_t i = 0; i < boot_info.virtio_count; i++) {
		device->regs = arch_map_device(boot_info.virtio[i], REGS_BYTES);
		if (device->regs && reg_read(device, REG_MAGIC) == MAGIC &&
		    reg_read(device, REG_VERSION) == VERSION &&
		    reg_read(device, REG_DEVICE_ID) == id)
			return true;
	}
	device->regs = NULL;
	return false;
}

/* Afterwards the device touches none of our memory. */
static bool reset(const struct virtio_device *device)
{
	uint64_t deadline = smp_millis() + WAIT_MS;

	reg_write(device, REG_STATUS, 0);
	while (reg_read(device, REG_STATUS) != 0) {
		if (smp_millis() > deadline)
			return false;
		arch_relax();
	}
	return true;
}

bool virtio_begin(struct virtio_device *device, uint64_t features)
{
	uint64_t offered;

	features |= FEATURE_VERSION_1;
	if (!reset(device))
		return false;
	add_status(device, STATUS_ACKNOWLEDGE);
	add_status(device, STATUS_DRIVER);
	reg_write(device, REG_DEVICE_FEATURES_SEL, 1);
	offered = (uint64_t)reg_read(device, REG_DEVICE_FEATURES) << 32;
	reg_write(device, REG_DEVICE_FEATURES_SEL, 0);
	offered |= reg_read(device, REG_DEVICE_FEATURES);
	if (features & ~offered)
		return false;
	reg_write(device, REG_DRIVER_FEATURES_SEL, 0);
	reg_write(device, REG_DRIVER_FEATURES, (uint32_t)features);
	reg_write(device, REG_DRIVER_FEATURES_SEL, 1);
	reg_write(device, REG_DRIVER_FEATURES, (uint32_t)(features >> 32));
	add_status(device, STATUS_FEATURES_OK);
	return reg_read(device, REG_STATUS) & STATUS_FEATURES_OK;
}

bool virtio_queue_set(struct virtio_device *device, struct virtio_queue *queue, unsigned index)
{
	struct slate_page_constraints fit = {
		.max = mapped_end(),
		.node = SLATE_ANY_NODE,
		.flags = SLATE_ZERO,
	};
	uint32_t most;
	struct rings *rings;
	pfn_t pfn;

	reg_write(device, REG_QUEUE_SEL, index);
	most = reg_read(device, REG_QUEUE_NUM_MAX);
	if (most == 0 || reg_read(device, REG_QUEUE_READY) != 0)
		return false;
	pfn = slate_page_alloc(1, &fit);
	if (pfn_is_none(pfn))
		return false;
	rings = slate_virt(pfn_to_paddr(pfn));
	rings->avail.flags = AVAIL_NO_INTERRUPT;
	*queue = (struct virtio_queue){
		.index = index,
		.entries = (uint16_t)(most < VIRTIO_QUEUE_MAX ? most : VIRTIO_QUEUE_MAX),
		.memory = rings,
	};
	reg_write(device, REG_QUEUE_NUM, queue->entries);
	reg_write_address(device, REG_QUEUE_DESC, rings->desc);
	reg_write_address(device, REG_QUEUE_DRIVER, &rings->avail);
	reg_write_address(device, REG_QUEUE_DEVICE, &rings->used);
	reg_write(device, REG_QUEUE_READY, 1);
	return true;
}

void virtio_ready(struct virtio_device *device)
{
	add_status(device, STATUS_DRIVER_OK);
}

bool virtio_send(struct virtio_device *device, struct virtio_queue *queue, uint64_t pa,
		 uint32_t size_bytes)
{
	uint64_t deadline = smp_millis() + WAIT_MS;
	struct rings *rings = queue->memory;

	rings->desc[QUEUE_PASSED] = (struct virtq_desc){pa, size_bytes, DESC_WRITE, 0};
	rings->avail.ring[queue->sent % queue->entries] = QUEUE_PASSED;
	/* the device reads descriptor and ring only after it has seen the index */
	atomic_store_explicit(&rings->avail.idx, ++queue->sent, memory_order_release);
	/* memory comes before the register */
	atomic_thread_fence(memory_order_seq_cst);
	reg_write(device, REG_QUEUE_NOTIFY, queue->index);
	while (atomic_load_explicit(&rings->used.idx, memory_order_acquire) != queue->sent) {
		if (smp_millis() > deadline) {
			reset(device);
			return false;
		}
		arch_relax();
	}
	return true;
}
