// SPDX-License-Identifier: GPL-2.0
/*
 * The vGPU of the mdev form: an emulated VFIO PCI device that says which profile it is, no more.
 *
 * A guest sees a 3D controller without capabilities and interrupts. BAR 0, 4 KiB, little endian,
 * cannot be written: u32 magic at 0, u32 memory in MiB at 4, u32 profile at 8.
 */
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "gpu.h"
#include "mdev_vf.h"
#include "vgpu_files.h"

/* QEMU's id for devices of its own making, and a device id of ours below it. */
#define VGPU_VENDOR_ID	0x1234
#define VGPU_DEVICE_ID	0x1ab1
#define VGPU_CLASS	0x0302
#define VGPU_MAGIC	0x5550474c /* "LGPU" */
#define VGPU_BAR0_SIZE	SZ_4K

/* Longest write that is taken at once. A caller that wrote more sees a short count. */
#define WRITE_CHUNK	64

/**
 * struct mdev_vgpu - one mediated device
 * @vdev: the VFIO core's side of it
 * @vgpu: what it has of the GPU
 * @lock: guards @config
 * @config: PCI configuration space as the guest reads it
 * @bar0: content of BAR 0
 */
struct mdev_vgpu {
	struct vfio_device vdev;
	struct vgpu *vgpu;
	struct mutex lock;
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 bar0[VGPU_BAR0_SIZE];
};

static struct mdev_vgpu *to_mdev_vgpu(struct vfio_device *vdev)
{
	return container_of(vdev, struct mdev_vgpu, vdev);
}

struct vgpu *mdev_vgpu_vgpu(struct device *dev)
{
	struct mdev_vgpu *mdev_vgpu = dev_get_drvdata(dev);

	return mdev_vgpu->vgpu;
}

static void mdev_vgpu_reset(struct mdev_vgpu *device)
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

static int mdev_vgpu_init(struct vfio_device *vdev)
{
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);

	device->vgpu = &to_mdev_vf_type(to_mdev_device(vdev->dev)->type)->vf->vgpu;
	mutex_init(&device->lock);
	return 0;
}

static void mdev_vgpu_release(struct vfio_device *vdev)
{
	mutex_destroy(&to_mdev_vgpu(vdev)->lock);
}

static int mdev_vgpu_open(struct vfio_device *vdev)
{
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);
	int ret;

	ret = vgpu_open(device->vgpu);
	if (!ret)
		mdev_vgpu_reset(device);
	return ret;
}

static void mdev_vgpu_close(struct vfio_device *vdev)
{
	vgpu_close(to_mdev_vgpu(vdev)->vgpu);
}

static u64 region_size(unsigned int index)
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
	size = region_size(place->index);
	if (place->offset >= size)
		return -EINVAL;

	place->count = min_t(u64, count, size - place->offset);
	return 0;
}

static ssize_t mdev_vgpu_read(struct vfio_device *vdev, char __user *buf, size_t count,
			      loff_t *ppos)
{
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);
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

static ssize_t mdev_vgpu_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			       loff_t *ppos)
{
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);
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

static long get_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* A region of size 0 is how VFIO says "this PCI device has none here". */
static long get_region_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;

	info.offset = VFIO_PCI_INDEX_TO_OFFSET(info.index);
	info.size = region_size(info.index);
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* The same for interrupts: every index is known, and none has a vector. */
static long get_irq_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;

	info.flags = 0;
	info.count = 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long mdev_vgpu_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info((void __user *)arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info((void __user *)arg);
	case VFIO_DEVICE_RESET:
		mdev_vgpu_reset(to_mdev_vgpu(vdev));
		return 0;
	default:
		return -ENOTTY;
	}
}

/* No .dma_unmap: the VFIO core asks for it only from drivers that pin guest memory. */
static const struct vfio_device_ops mdev_vgpu_ops = {
	.name = "gpuvirt-vf-vgpu",
	.init = mdev_vgpu_init,
	.release = mdev_vgpu_release,
	.open_device = mdev_vgpu_open,
	.close_device = mdev_vgpu_close,
	.read = mdev_vgpu_read,
	.write = mdev_vgpu_write,
	.ioctl = mdev_vgpu_ioctl,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int mdev_vgpu_probe(struct mdev_device *mdev)
{
	struct mdev_vf_type *type = to_mdev_vf_type(mdev->type);
	struct vgpu *vgpu = &type->vf->vgpu;
	struct mdev_vgpu *device;
	int ret;

	ret = vgpu_create(vgpu, type->profile);
	if (ret)
		return ret;

	device = vfio_alloc_device(mdev_vgpu, vdev, &mdev->dev, &mdev_vgpu_ops);
	if (IS_ERR(device)) {
		ret = PTR_ERR(device);
		goto err_drop;
	}

	ret = vfio_register_emulated_iommu_dev(&device->vdev);
	if (ret)
		goto err_put;

	dev_set_drvdata(&mdev->dev, device);
	return 0;

err_put:
	vfio_put_device(&device->vdev);
err_drop:
	vgpu_drop(vgpu);
	return ret;
}

/* The memory goes back after the last user, so that nothing is promised that a guest still has. */
static void mdev_vgpu_remove(struct mdev_device *mdev)
{
	struct mdev_vgpu *device = dev_get_drvdata(&mdev->dev);
	struct vgpu *vgpu = device->vgpu;

	vfio_unregister_group_dev(&device->vdev);
	vfio_put_device(&device->vdev);
	vgpu_drop(vgpu);
}

static unsigned int mdev_vgpu_get_available(struct mdev_type *type)
{
	struct mdev_vf_type *vf_type = to_mdev_vf_type(type);
	struct vgpu *vgpu = &vf_type->vf->vgpu;
	bool creatable;

	mutex_lock(&vgpu->gpu->lock);
	creatable = vgpu_creatable_locked(vgpu, vf_type->profile);
	mutex_unlock(&vgpu->gpu->lock);
	return creatable;
}

static ssize_t mdev_vgpu_show_description(struct mdev_type *type, char *buf)
{
	return profile_describe(to_mdev_vf_type(type)->profile, buf);
}

struct mdev_driver mdev_vgpu_driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.driver = {
		.name = "gpuvirt-vf-vgpu",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
		.dev_groups = mdev_vgpu_groups,
	},
	.probe = mdev_vgpu_probe,
	.remove = mdev_vgpu_remove,
	.get_available = mdev_vgpu_get_available,
	.show_description = mdev_vgpu_show_description,
};
