//! Checks on a domain that is about to start: whether it may have its host devices, and what is still to be made.
//!
//! The host devices are judged, whatever put them there; requests tell what may be made for them. Whatever concerns
//! unmanaged GPUs, and devices that are no GPUs', is let through: that is libvirt's and the admin's business.
//!
//! What vSphere refuses at a power-on, and what says its sense here:
//!
//! | vSphere's words, in short | here |
//! |---|---|
//! | graphics resource is insufficient | `no-capacity`, `capacity-reserved`, `profile-not-offered`, `not-shared-direct` |
//! | memory reservation should be equal to memsize | `memory-not-lockable` |
//! | total number of pages needed exceeds limit | none: firmware and QEMU size the guest's window themselves |
//! | device is not a passthrough device | `not-passthrough` |
//! | the device at that address does not match | `identity-changed` |
//! | IOMMU virtualization is not allowed with vGPU | `viommu-with-vgpu` |
//! | virtualization with a passthrough device | none: nested virtualization works beside one |
//! | not in the allowed passthrough list | `not-passthrough`, at edit |

mod another;
mod card;
mod judge;
mod room;
mod subject;
mod vgpu;

pub use judge::{judge, mixed_modes};
pub use subject::{Judgement, Missing, Start};
pub(crate) use vgpu::vf_for_libvirt_to_bind;
