#!/bin/sh
# In the initramfs, before udev starts: see claim.
/usr/lib/gpuvirt/claim /etc/gpuvirt/claims
