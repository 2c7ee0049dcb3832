//! The SR-IOV network card as a GPU: declared one, and given to a driver of ours.

use crate::Lab;

/// How the module gpuvirt_vf makes vGPUs on virtual functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VfForm {
    /// NVIDIA's vendor-specific VFIO: a virtual function takes a type.
    VendorVfio,
    /// A mediated device on each virtual function.
    Mdev,
}

impl Lab {
    /// The SR-IOV network card counts as a GPU from here on; [`Lab::fresh`] takes it back. Its address.
    #[track_caller]
    pub fn sriov_gpu(&self) -> String {
        self.sh("sed -i 's/^#sriov-stand-in //' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd")
            .expect(0);
        self.devices.get("SRIOV_PF").to_owned()
    }

    /// Gives one of the two identical GPUs to our module for mediated devices: of two cards of a model one makes vGPUs.
    /// [`Lab::fresh`] takes it back. Its address, and the other one's.
    #[track_caller]
    pub fn vgpu_twin(&self) -> (String, String) {
        let (shared, whole) = (self.devices.get("TWIN_B"), self.devices.get("TWIN_A"));
        let device = format!("/sys/bus/pci/devices/{shared}");
        self.sh(&format!(
            "echo gpuvirt_mdev > {device}/driver_override && echo {shared} > {device}/driver/unbind &&
             echo {shared} > /sys/bus/pci/drivers_probe &&
             test $(basename $(readlink {device}/driver)) = gpuvirt_mdev"
        ))
        .expect(0);
        (shared.to_owned(), whole.to_owned())
    }

    /// Gives the card to our module, without virtual functions yet; its driver lets nobody but its own tool make them.
    #[track_caller]
    pub fn give_to_gpuvirt_vf(&self, gpu: &str, form: VfForm) {
        let device = format!("/sys/bus/pci/devices/{gpu}");
        let parameter = match form {
            VfForm::VendorVfio => "",
            VfForm::Mdev => "vf_mdev=1",
        };
        self.sh(&format!(
            "modprobe -a mdev vfio-pci && insmod /lab/modules/gpuvirt_vf.ko numvfs_errno=1 {parameter} &&
             echo gpuvirt_vf > {device}/driver_override &&
             echo {gpu} > {device}/driver/unbind && echo {gpu} > /sys/bus/pci/drivers_probe &&
             test $(basename $(readlink {device}/driver)) = gpuvirt_vf"
        ))
        .expect(0);
    }

    /// All virtual functions of a card of that module, as an admin enables them with the vendor's tool.
    #[track_caller]
    pub fn enable_vfs(&self, gpu: &str) {
        self.sh(&format!("/lab/e2e/sriov-manage -e {gpu}")).expect(0);
    }
}
