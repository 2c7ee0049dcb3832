// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest finds in a vGPU of the mdev form: which profile it is, no more.
 *
 * It sees a 3D controller without capabilities and interrupts. BAR 0, 4 KiB, little endian, cannot
 * be written: u32 magic at 0, u32 memory in MiB at 4, u32 profile at 8.
 */
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

#include "mdev_vgpu.h"
#include "vgpu.h"

/* QEMU's id for devices of its own making, and a device id of ours below it. */
#define VGPU_VENDOR_ID	0x1234
#define VGPU_DEVICE_ID	0x1ab1
#define VGPU_CLASS	0x0302
#define VGPU_MAGIC	0x5550474c /* "LGPU" */

/* Longest write that is taken at once. A caller that wrote more sees a short count. */
#define WRITE_CHUNK	64

/* The state of a fresh device. Nothing of what the last guest wrote survives. */
void mdev_region_reset(struct mdev_vgpu *device)
{
	const struct profile *profile = device->vgpu->profile;

	mutex_lock(&device->lock);
	memset(device->config, 0, sizeof(device->config));
	put_unaligned_le16(VGPU_VENDOR_ID, &device->config[PCI_VENDOR_ID]);
	put_unaligned_le16(VGPU_DEVICE_ID, &device->config[PCI_DEVICE_ID]);
	put_unaligned_le16(VGPU_CLASS, &device->config[PCI_CLASS_DEVICE]);
	put_unaligned_le16(VGPU_VENDOR_ID, &device->config[PCI_SUBSYSTEM_VENDOR_ID]);
	put_unaligned_le16(profile->id, &device->config[PCI_SUBSYSTEM_ID]);
	put_unaligned_le32(VGPU_MAGIC, &device->bar0[0]);
	put_unaligned_le32(profile->slots * SLOT_MIB, &device->bar0[4]);
	put_unaligned_le32(profile->id, &device->bar0[8]);
	mutex_unlock(&device->lock);
}

/* Size of a VFIO region in bytes; 0 for one that this device does not have. */
u64 mdev_region_size(unsigned int index)
{
	switch (index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return PCI_CFG_SPACE_SIZE;
	case VFIO_PCI_BAR0_REGION_INDEX:
		return VGPU_BAR0_SIZE;
	default:
		return 0;
	}
}

/* Where a file position is: VFIO packs the region's index and the offset into it. */
struct place {
	unsigned int index;
	u64 offset;
	size_t count;
};

/* Split @pos, and cut @count where the region ends. -EINVAL outside of every region. */
static int find_place(loff_t pos, size_t count, struct place *place)
{
	u64 size;

	place->index = VFIO_PCI_OFFSET_TO_INDEX(pos);
	place->offset = pos & VFIO_PCI_OFFSET_MASK;
	size = mdev_region_size(place->index);
	if (place->offset >= size)
		return -EINVAL;

	place->count = min_t(u64, count, size - place->offset);
	return 0;
}

ssize_t mdev_region_read(struct mdev_vgpu *device, char __user *buf, size_t count, loff_t *ppos)
{
	unsigned long missing;
	struct place place;
	const u8 *content;
	int ret;

	ret = find_place(*ppos, count, &place);
	if (ret)
		return ret;

	content = place.index == VFIO_PCI_CONFIG_REGION_INDEX ? device->config : device->bar0;
	mutex_lock(&device->lock);
	missing = copy_to_user(buf, content + place.offset, place.count);
	mutex_unlock(&device->lock);
	if (missing)
		return -EFAULT;

	*ppos += place.count;
	return place.count;
}

/* Bits of a configuration byte that a guest can change. */
static u8 config_writable(u64 offset)
{
	switch (offset) {
	case PCI_COMMAND:
		return PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	case PCI_INTERRUPT_LINE:
		return 0xff;
	case PCI_BASE_ADDRESS_0 ... PCI_BASE_ADDRESS_0 + 3:
		/* All ones written here must read back as the size mask. */
		return ~(VGPU_BAR0_SIZE - 1) >> (8 * (offset - PCI_BASE_ADDRESS_0));
	default:
		return 0;
	}
}

ssize_t mdev_region_write(struct mdev_vgpu *device, const char __user *buf, size_t count,
			  loff_t *ppos)
{
	u8 chunk[WRITE_CHUNK];
	struct place place;
	size_t i;
	int ret;

	ret = find_place(*ppos, min_t(size_t, count, sizeof(chunk)), &place);
	if (ret)
		return ret;
	if (copy_from_user(chunk, buf, place.count))
		return -EFAULT;

	mutex_lock(&device->lock);
	for (i = 0; place.index == VFIO_PCI_CONFIG_REGION_INDEX && i < place.count; i++) {
		u8 *byte = &device->config[place.offset + i];
		u8 writable = config_writable(place.offset + i);

		*byte = (*byte & ~writable) | (chunk[i] & writable);
	}
	mutex_unlock(&device->lock);

	*ppos += place.count;
	return place.count;
}
