//! The four ways in which GPUs make vGPUs, as the lab has them.

use serde_json::Value;

use crate::{Lab, Output, VfForm};

/// One way.
#[derive(Debug)]
pub struct Form {
    /// Makes the lab's card one of this way; its address.
    pub dress: fn(&Lab) -> String,
    /// The framework that is shown.
    pub framework: &'static str,
    /// A profile.
    pub profile: &'static str,
    /// How many fit on the card.
    pub fits: usize,
    /// What a guest finds on its PCI bus.
    pub sees: &'static str,
    /// A profile that the card does not have.
    pub foreign: &'static str,
}

impl Form {
    /// Mediated devices on the card: NVIDIA up to Turing, Intel GVT-g.
    pub const MDEV_ON_THE_CARD: Self = Self {
        dress: |lab| lab.devices.get("MDEV_GPU").to_owned(),
        framework: "mdev",
        profile: "lab-4q",
        fits: 2,
        sees: "1234:1ab0 class=030200 subsystem=1234:0003",
        foreign: "lab-3q",
    };

    /// A mediated device on each virtual function: NVIDIA from Ampere on, older kernels.
    pub const MDEV_ON_EACH_VF: Self = Self {
        dress: |lab| on_our_module(lab, VfForm::Mdev),
        framework: "mdev",
        profile: "lab-4q",
        fits: 2,
        sees: "1234:1ab1 class=030200 subsystem=1234:025c",
        foreign: "lab-3q",
    };

    /// NVIDIA's vendor-specific VFIO on virtual functions.
    pub const VENDOR_VFIO: Self = Self {
        dress: |lab| on_our_module(lab, VfForm::VendorVfio),
        framework: "nvidia-vfio",
        profile: "lab-4q",
        fits: 2,
        sees: "8086:10ca class=020000",
        foreign: "lab-3q",
    };

    /// Plain virtual functions: Intel, AMD.
    pub const PLAIN_VFS: Self = Self {
        dress: Lab::sriov_gpu,
        framework: "sriov",
        profile: "vf",
        fits: 7,
        sees: "8086:10ca class=020000",
        foreign: "lab-4q",
    };

    /// The parents on this card that could still make one of the profile: the card itself, or virtual functions.
    #[track_caller]
    pub fn able(&self, lab: &Lab, gpu: &str) -> usize {
        let list = items(&lab.gpuvirt(&format!("profile list --gpu {gpu} -o json")).expect(0));
        let ours: Vec<&Value> = list.iter().filter(|item| item["name"] == self.profile).collect();
        assert!(ours.iter().all(|item| item["framework"] == self.framework), "{ours:?}");
        let functions = ours.iter().flat_map(|item| item["functions"].as_array().unwrap());
        functions.filter(|function| function["available"].as_u64().unwrap() > 0).count()
    }

    /// Asks for one more.
    #[track_caller]
    pub fn create(&self, lab: &Lab, gpu: &str) -> Output {
        lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {} -o json", self.profile))
    }

    /// Makes this many; then nothing is left, and one more is refused. Their ids.
    #[track_caller]
    pub fn exhaust(&self, lab: &Lab, gpu: &str, room: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < room {
            assert!(self.able(lab, gpu) > 0, "{ids:?}");
            let made = self.create(lab, gpu).expect(0).json();
            ids.push(made["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(self.able(lab, gpu), 0);
        let full = lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile {}", self.profile));
        full.expect(3).says("[no-capacity]").says(&ids[0]);
        ids
    }
}

impl Lab {
    /// All vGPUs, as `vgpu list` shows them.
    #[track_caller]
    pub fn vgpus(&self) -> Vec<Value> {
        items(&self.gpuvirt("vgpu list -o json").expect(0))
    }
}

fn on_our_module(lab: &Lab, form: VfForm) -> String {
    let gpu = lab.sriov_gpu();
    lab.give_to_gpuvirt_vf(&gpu, form);
    gpu
}

fn items(output: &Output) -> Vec<Value> {
    output.json()["items"].as_array().unwrap().clone()
}
