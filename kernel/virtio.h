/* SPDX-License-Identifier: MIT */
/*
 * virtio.h - the little of virtio 1.2 that a polled driver needs: find a device behind virtio-mmio
 * (version 2), agree on features, send one buffer at a time over a split queue.
 */
#ifndef KERNEL_VIRTIO_H
#define KERNEL_VIRTIO_H

#include <slate/types.h>

#define VIRTIO_ID_BALLOON 5

/* Entries of a queue: it lies in one frame. */
#define VIRTIO_QUEUE_MAX 32

struct virtio_device {
	volatile uint32_t *regs; /* NULL: none */
};

struct virtio_queue {
	unsigned index;
	uint16_t entries;
	uint16_t sent; /* buffers so far, modulo 2^16 */
	void *memory;  /* a frame: descriptors, available ring, used ring */
};

/* The first device of that id on the machine's transports. Boot CPU only, before the others start.
 */
bool virtio_find(struct virtio_device *device, uint32_t id);

/* Reset it, and agree on exactly these features (bits), which it must offer. */
bool virtio_begin(struct virtio_device *device, uint64_t features);

/* Set up a queue, with at most VIRTIO_QUEUE_MAX entries, between virtio_begin() and _ready(). */
bool virtio_queue_set(struct virtio_device *device, struct virtio_queue *queue, unsigned index);
void virtio_ready(struct virtio_device *device);

/*
 * Offer [pa, pa + size_bytes) for the device to write and wait until it is done, with interrupts as
 * they are; false after some seconds. Then the device is reset, and has forgotten the buffer.
 */
bool virtio_send(struct virtio_device *device, struct virtio_queue *queue, uint64_t pa,
		 uint32_t size_bytes);

#endif
