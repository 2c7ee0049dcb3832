//! Nested guests: domains of the lab's libvirt that tell which PCI devices they see.

use crate::{Lab, Output};

/// A defined domain of the lab.
pub struct Guest<'a> {
    lab: &'a Lab,
    /// Its name.
    pub name: String,
}

impl<'a> Guest<'a> {
    pub(crate) fn define(lab: &'a Lab, name: &str, options: &str) -> Self {
        let file = format!("/tmp/{name}.xml");
        lab.sh(&format!("/lab/guest-domain {name} {options} > {file} && virsh -q define {file}")).expect(0);
        Self { lab, name: name.to_owned() }
    }

    /// The stored definition, secrets included.
    #[track_caller]
    pub fn xml(&self) -> String {
        self.lab.sh(&format!("virsh dumpxml --inactive --security-info {}", self.name)).expect(0).stdout
    }

    /// Starts it and waits for its report.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.lab.sh(&format!("/lab/guest-run {} 240", self.name))
    }

    /// Powers it off at once.
    #[track_caller]
    pub fn destroy(&self) {
        self.lab.sh(&format!("virsh -q destroy {}", self.name)).expect(0);
    }
}
