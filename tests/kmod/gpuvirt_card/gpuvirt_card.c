// SPDX-License-Identifier: GPL-2.0
/*
 * gpuvirt_card: what one PCI function says of itself in its config space.
 *
 *	insmod gpuvirt_card.ko card=0000:03:00.0
 *	echo 0x10de >/sys/module/gpuvirt_card/parameters/vendor
 *	echo 0x1080 >/sys/module/gpuvirt_card/parameters/device
 *	echo 1 >/sys/bus/pci/devices/0000:03:00.0/remove
 *	echo 1 >/sys/bus/pci/rescan
 *
 * The kernel then finds another card at that address, and so does everybody
 * who asks the kernel: sysfs, lspci, libvirt. With "gone" all of its config
 * space reads as ones, as that of a card that has fallen off the bus does.
 *
 * Only reads are changed, and only of that one function. The bus must be
 * another than the root bus: the function must be behind a port of its own.
 * The module can't be unloaded: a reader may be in its code at any time, and
 * nothing tells when the last one has left. With its parameters at 0 and N it
 * changes nothing. For tests in a virtual machine only.
 */
#include <linux/module.h>
#include <linux/pci.h>

static char *card;
module_param(card, charp, 0444);
MODULE_PARM_DESC(card, "address of the function, DDDD:BB:SS.F");

static ushort vendor;
module_param(vendor, ushort, 0644);
MODULE_PARM_DESC(vendor, "vendor id that is read; 0: its own");

static ushort device;
module_param(device, ushort, 0644);
MODULE_PARM_DESC(device, "device id that is read; 0: its own");

static uint class;
module_param(class, uint, 0644);
MODULE_PARM_DESC(class, "class code that is read, 24 bits; 0: its own");

static bool gone;
module_param(gone, bool, 0644);
MODULE_PARM_DESC(gone, "whether all of its config space reads as ones");

static unsigned int card_devfn;
static struct pci_ops *own;
static struct pci_ops changed;

/* One aligned double word of config space, with what is to be read in the place of what is there. */
static u32 card_word(int where, u32 word)
{
	ushort as_vendor = READ_ONCE(vendor), as_device = READ_ONCE(device);
	uint as_class = READ_ONCE(class);

	switch (where) {
	case PCI_VENDOR_ID:
		if (as_vendor)
			word = (word & 0xffff0000) | as_vendor;
		if (as_device)
			word = (word & 0xffff) | (u32)as_device << 16;
		break;
	case PCI_CLASS_REVISION:
		if (as_class)
			word = (word & 0xff) | as_class << 8;
		break;
	}
	return word;
}

static int card_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *val)
{
	u32 word;
	int ret;

	if (devfn != card_devfn)
		return own->read(bus, devfn, where, size, val);
	if (READ_ONCE(gone)) {
		*val = ~0u >> (32 - 8 * size);
		return PCIBIOS_SUCCESSFUL;
	}
	ret = own->read(bus, devfn, where & ~3, 4, &word);
	if (ret == PCIBIOS_SUCCESSFUL)
		*val = card_word(where & ~3, word) >> (8 * (where & 3)) & (~0u >> (32 - 8 * size));
	return ret;
}

static int __init card_init(void)
{
	unsigned int domain, number, slot, function;
	struct pci_dev *dev;

	if (!card || sscanf(card, "%x:%x:%x.%x", &domain, &number, &slot, &function) != 4)
		return -EINVAL;
	card_devfn = PCI_DEVFN(slot, function);
	dev = pci_get_domain_bus_and_slot(domain, number, card_devfn);
	if (!dev)
		return -ENODEV;
	if (pci_is_root_bus(dev->bus)) {
		pci_dev_put(dev);
		return -EINVAL;
	}
	own = dev->bus->ops;
	changed = *own;
	changed.read = card_read;
	pci_bus_set_ops(dev->bus, &changed);
	pci_dev_put(dev);
	return 0;
}

module_init(card_init);
MODULE_DESCRIPTION("What a PCI function says of itself, for gpuvirt's tests");
MODULE_LICENSE("GPL");
