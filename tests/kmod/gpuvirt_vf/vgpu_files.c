// SPDX-License-Identifier: GPL-2.0
/*
 * The vendor's files. Their names and the shape of their texts are NVIDIA's, so that a program
 * which reads those reads these; what stands in them is ours.
 *
 *	creatable_vgpu_types	what the VF could get now: empty when it has a type, or nothing fits
 *	current_vgpu_type	0, or the type; a write creates, 0 destroys
 *	placement_id		the driver's choice; -ENXIO without a type
 *	gpu_instance_id		likewise; 0 for a vGPU that is not on a GPU instance
 *	vgpu_params		text, gone with the type
 */
#include <linux/ctype.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "gpu.h"
#include "knob.h"
#include "mdev_vf.h"
#include "vendor_vf.h"
#include "vgpu.h"
#include "vgpu_files.h"

static struct vgpu *to_vgpu(struct device *dev)
{
	return dev_is_pci(dev) ? vendor_vf_vgpu(dev) : mdev_vgpu_vgpu(dev);
}

static ssize_t creatable_vgpu_types_show(struct device *dev, struct device_attribute *attr,
					 char *buf)
{
	struct vgpu *vgpu = to_vgpu(dev);
	bool header = knob_header();
	unsigned int i;
	int at = 0;

	if (header)
		at += sysfs_emit(buf, "%-6s: %s\n", "ID", "vGPU Name");

	mutex_lock(&vgpu->gpu->lock);
	for (i = 0; i < NR_PROFILES; i++) {
		if (!vgpu_creatable_locked(vgpu, &profiles[i]))
			continue;
		if (header)
			at += sysfs_emit_at(buf, at, "%-6u: %s\n", profiles[i].id, profiles[i].name);
		else
			at += sysfs_emit_at(buf, at, "%u : %s\n", profiles[i].id, profiles[i].name);
	}
	mutex_unlock(&vgpu->gpu->lock);
	return at;
}
static DEVICE_ATTR_RO(creatable_vgpu_types);

static ssize_t current_vgpu_type_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vgpu *vgpu = to_vgpu(dev);
	const struct profile *profile = READ_ONCE(vgpu->profile);

	return sysfs_emit(buf, "%u\n", profile ? profile->id : 0);
}

/* All that can't be created is -EIO, for whatever reason. */
static ssize_t current_vgpu_type_store(struct device *dev, struct device_attribute *attr,
				       const char *buf, size_t count)
{
	struct vgpu *vgpu = to_vgpu(dev);
	const struct profile *profile;
	unsigned int id;
	int ret;

	ret = kstrtouint(buf, 10, &id);
	if (ret)
		return ret;

	if (!id)
		return vgpu_destroy(vgpu) ?: count;

	profile = profile_find(id);
	ret = profile ? vgpu_create(vgpu, profile) : -ENOSPC;
	if (ret == -ENOSPC) {
		dev_notice(dev, "vGPU type %u can't be created here now\n", id);
		ret = -EIO;
	}
	return ret ?: count;
}
static DEVICE_ATTR_RW(current_vgpu_type);

static ssize_t placement_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vgpu *vgpu = to_vgpu(dev);
	ssize_t ret = -ENXIO;

	mutex_lock(&vgpu->gpu->lock);
	if (vgpu->profile)
		ret = sysfs_emit(buf, "%u\n", vgpu->place.placement);
	mutex_unlock(&vgpu->gpu->lock);
	return ret;
}

/* The file's mode says that it can be written. Here the driver alone places. */
static ssize_t placement_id_store(struct device *dev, struct device_attribute *attr,
				  const char *buf, size_t count)
{
	return -EIO;
}
static DEVICE_ATTR_RW(placement_id);

static ssize_t gpu_instance_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vgpu *vgpu = to_vgpu(dev);
	const struct gpu_instance *instance;
	ssize_t ret = -ENXIO;
	long id;

	mutex_lock(&vgpu->gpu->lock);
	instance = vgpu->place.instance;
	id = instance ? instance - vgpu->gpu->instances : 0;
	if (vgpu->profile)
		ret = sysfs_emit(buf, "%ld\n", id);
	mutex_unlock(&vgpu->gpu->lock);
	return ret;
}

static ssize_t gpu_instance_id_store(struct device *dev, struct device_attribute *attr,
				     const char *buf, size_t count)
{
	return -EIO;
}
static DEVICE_ATTR_RW(gpu_instance_id);

static ssize_t vgpu_params_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vgpu *vgpu = to_vgpu(dev);
	ssize_t ret;

	mutex_lock(&vgpu->gpu->lock);
	ret = sysfs_emit(buf, "%s\n", vgpu->params);
	mutex_unlock(&vgpu->gpu->lock);
	return ret;
}

/* Taken as text, with or without a type. A space clears it: the white space around is cut off. */
static ssize_t vgpu_params_store(struct device *dev, struct device_attribute *attr,
				 const char *buf, size_t count)
{
	struct vgpu *vgpu = to_vgpu(dev);
	size_t start, length;

	start = skip_spaces(buf) - buf;
	length = strlen(buf + start);
	while (length && isspace(buf[start + length - 1]))
		length--;
	if (length >= sizeof(vgpu->params))
		return -EINVAL;

	mutex_lock(&vgpu->gpu->lock);
	memset(vgpu->params, 0, sizeof(vgpu->params));
	memcpy(vgpu->params, buf + start, length);
	mutex_unlock(&vgpu->gpu->lock);
	return count;
}
static DEVICE_ATTR_RW(vgpu_params);

static struct attribute *vendor_vf_attrs[] = {
	&dev_attr_creatable_vgpu_types.attr,
	&dev_attr_current_vgpu_type.attr,
	&dev_attr_gpu_instance_id.attr,
	&dev_attr_placement_id.attr,
	&dev_attr_vgpu_params.attr,
	NULL
};

/* The driver has these for all that it is bound to; a physical function has no such folder. */
static bool vendor_vf_group_visible(struct kobject *kobj)
{
	return to_pci_dev(kobj_to_dev(kobj))->is_virtfn && !knob_vf_mdev();
}
DEFINE_SIMPLE_SYSFS_GROUP_VISIBLE(vendor_vf);

static const struct attribute_group vendor_vf_group = {
	.name = "nvidia",
	.attrs = vendor_vf_attrs,
	.is_visible = SYSFS_GROUP_VISIBLE(vendor_vf),
};

const struct attribute_group *vendor_vf_groups[] = { &vendor_vf_group, NULL };

static struct attribute *mdev_vgpu_attrs[] = {
	&dev_attr_placement_id.attr,
	&dev_attr_vgpu_params.attr,
	NULL
};

static const struct attribute_group mdev_vgpu_group = {
	.name = "nvidia",
	.attrs = mdev_vgpu_attrs,
};

const struct attribute_group *mdev_vgpu_groups[] = { &mdev_vgpu_group, NULL };
