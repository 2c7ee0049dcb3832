// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest finds in its vGPU: the configuration space and BAR 0.
 *
 * Configuration space: a 3D controller without capabilities and without interrupts, so a
 * conventional PCI function even below a PCI Express port.
 *
 * BAR 0, 64 KiB, little endian:
 *	0x0000	u32	VGPU_MAGIC
 *	0x0004	u32	memory in MiB
 *	0x0008	u32	profile, the same number as the subsystem id
 *	0x1000	...	scratch memory: reads give what was written
 * Writes to the first 0x1000 bytes are ignored.
 */
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "emulated_vgpu.h"

/* QEMU's id for devices of its own making. */
#define VGPU_VENDOR_ID		0x1234
#define VGPU_CLASS		0x0302

#define VGPU_MAGIC		0x5550474c /* "LGPU" */
#define VGPU_REG_MAGIC		0x0000
#define VGPU_REG_MEMORY_MIB	0x0004
#define VGPU_REG_PROFILE	0x0008
#define VGPU_SCRATCH		0x1000

/* Longest write that is taken at once. A caller that wrote more sees a short count. */
#define WRITE_CHUNK		64

/* The state of a fresh device. Nothing of what the last guest wrote survives. */
void emulated_region_reset(struct emulated_vgpu *vgpu)
{
	const struct emulated_identity *identity = &vgpu->identity;

	mutex_lock(&vgpu->lock);

	memset(vgpu->config, 0, sizeof(vgpu->config));
	put_unaligned_le16(VGPU_VENDOR_ID, &vgpu->config[PCI_VENDOR_ID]);
	put_unaligned_le16(identity->device_id, &vgpu->config[PCI_DEVICE_ID]);
	put_unaligned_le16(VGPU_CLASS, &vgpu->config[PCI_CLASS_DEVICE]);
	put_unaligned_le16(VGPU_VENDOR_ID, &vgpu->config[PCI_SUBSYSTEM_VENDOR_ID]);
	put_unaligned_le16(identity->profile, &vgpu->config[PCI_SUBSYSTEM_ID]);

	memset(vgpu->bar0, 0, sizeof(vgpu->bar0));
	put_unaligned_le32(VGPU_MAGIC, &vgpu->bar0[VGPU_REG_MAGIC]);
	put_unaligned_le32(identity->memory_mib, &vgpu->bar0[VGPU_REG_MEMORY_MIB]);
	put_unaligned_le32(identity->profile, &vgpu->bar0[VGPU_REG_PROFILE]);

	mutex_unlock(&vgpu->lock);
}

/* Size of a VFIO region in bytes; 0 for one that this device does not have. */
u64 emulated_region_size(unsigned int index)
{
	switch (index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return PCI_CFG_SPACE_SIZE;
	case VFIO_PCI_BAR0_REGION_INDEX:
		return EMULATED_BAR0_SIZE;
	default:
		return 0;
	}
}

/* Bits of a configuration byte that a guest can change. */
static u8 config_writable(u64 offset)
{
	switch (offset) {
	case PCI_COMMAND:
		return PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	case PCI_COMMAND + 1:
		return PCI_COMMAND_INTX_DISABLE >> 8;
	case PCI_INTERRUPT_LINE:
		return 0xff;
	case PCI_BASE_ADDRESS_0 ... PCI_BASE_ADDRESS_0 + 3:
		/* All ones written here must read back as the size mask. */
		return ~(EMULATED_BAR0_SIZE - 1) >> (8 * (offset - PCI_BASE_ADDRESS_0));
	default:
		return 0;
	}
}

static void config_write_byte(struct emulated_vgpu *vgpu, u64 offset, u8 value)
{
	u8 writable = config_writable(offset);

	vgpu->config[offset] = (vgpu->config[offset] & ~writable) | (value & writable);
}

static void bar0_write_byte(struct emulated_vgpu *vgpu, u64 offset, u8 value)
{
	if (offset >= VGPU_SCRATCH)
		vgpu->bar0[offset] = value;
}

/* A place in the device: VFIO packs the region's index and the offset into one file position. */
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

	size = emulated_region_size(place->index);
	if (place->offset >= size)
		return -EINVAL;

	place->count = min_t(u64, count, size - place->offset);
	return 0;
}

ssize_t emulated_vgpu_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *ppos)
{
	struct emulated_vgpu *vgpu = to_emulated_vgpu(vdev);
	struct place place;
	const u8 *content;
	unsigned long missing;
	int ret;

	ret = find_place(*ppos, count, &place);
	if (ret)
		return ret;

	content = place.index == VFIO_PCI_CONFIG_REGION_INDEX ? vgpu->config : vgpu->bar0;

	mutex_lock(&vgpu->lock);
	missing = copy_to_user(buf, content + place.offset, place.count);
	mutex_unlock(&vgpu->lock);
	if (missing)
		return -EFAULT;

	*ppos += place.count;
	return place.count;
}

ssize_t emulated_vgpu_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			    loff_t *ppos)
{
	struct emulated_vgpu *vgpu = to_emulated_vgpu(vdev);
	u8 chunk[WRITE_CHUNK];
	struct place place;
	size_t i;
	int ret;

	ret = find_place(*ppos, min_t(size_t, count, sizeof(chunk)), &place);
	if (ret)
		return ret;

	if (copy_from_user(chunk, buf, place.count))
		return -EFAULT;

	mutex_lock(&vgpu->lock);
	for (i = 0; i < place.count; i++) {
		if (place.index == VFIO_PCI_CONFIG_REGION_INDEX)
			config_write_byte(vgpu, place.offset + i, chunk[i]);
		else
			bar0_write_byte(vgpu, place.offset + i, chunk[i]);
	}
	mutex_unlock(&vgpu->lock);

	*ppos += place.count;
	return place.count;
}
