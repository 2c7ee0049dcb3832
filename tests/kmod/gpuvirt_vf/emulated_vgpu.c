// SPDX-License-Identifier: GPL-2.0
/* Shared source, built into this module. */
#include "../emulated_vgpu/emulated_vgpu.c"
