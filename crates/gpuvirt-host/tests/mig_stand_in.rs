//! The lab's stand-in of the vendor's command answers what our parsers read: the script itself, over files that look like
//! the test module's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a failed expectation is a failed test
#![allow(clippy::disallowed_methods)] // files of a folder of its own

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gpuvirt_host::parse::mig;

const GPU: &str = "0000:05:00.0";

/// The script with its module's files in `folder`.
struct StandIn<'a> {
    folder: &'a Path,
}

impl StandIn<'_> {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join("gpus").join(GPU).join(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lab/guest/nvidia-smi");
        let text = fs::read_to_string(script).unwrap();
        let here = self.folder.to_str().unwrap();
        let text = text.replace("/proc/driver/gpuvirt_vf/gpus", &format!("{here}/gpus"));
        let text = text.replace("/dev/gpuvirt_vf-", &format!("{here}/node-"));
        Command::new("bash").args(["-c", &text, "nvidia-smi"]).args(args).output().expect("bash runs")
    }

    fn listed(&self, what: &str) -> String {
        let output = self.run(&["mig", "-i", GPU, what]);
        assert!(output.status.success(), "{what}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn its_tables_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("gpus").join(GPU)).unwrap();
    fs::write(folder.path().join(format!("node-{GPU}")), "").unwrap();
    let smi = StandIn { folder: folder.path() };
    smi.write("mig_mode", "0\n");
    smi.write(
        "gpu_instance_profiles",
        "19 1g.1gb 1 1024 4 7 0 0,1,2,3,4,5,6:1\n9 3g.4gb 3 4096 1 2 2 0,4:4\n",
    );
    smi.write("gpu_instances", "");

    let query = ["-i", GPU, "--query-gpu=mig.mode.current,mig.mode.pending", "--format=csv,noheader"];
    let mode = || mig::mode(&String::from_utf8(smi.run(&query).stdout).unwrap()).unwrap();
    assert!(mode().supported && !mode().enabled);
    let none = |what: &str| {
        let output = smi.run(&["mig", "-i", GPU, what]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && mig::is_none_found(&text), "{what}: {text:?}");
    };
    none("-lgip");
    smi.write("mig_mode", "1\n");
    assert!(mode().enabled);
    none("-lgi");
    none("-lci");

    let profiles = mig::profiles(&smi.listed("-lgip")).unwrap();
    let brief: Vec<_> = profiles.iter().map(|p| (p.name.as_str(), p.id, p.free, p.total, p.slices)).collect();
    assert_eq!(brief, [("1g.1gb", 19, 4, 7, Some(1)), ("3g.4gb", 9, 1, 2, Some(3))]);
    let places = mig::placements(&smi.listed("-lgipp")).unwrap();
    let brief: Vec<_> = places.iter().map(|(id, places)| (*id, places.len(), places[0].size)).collect();
    assert_eq!(brief, [(19, 7, 1), (9, 2, 4)]);

    smi.write("gpu_instances", "1 9 3g.4gb 0:4 1 0\n11 19 1g.1gb 4:1 0 0\n");
    let instances = mig::instances(&smi.listed("-lgi")).unwrap();
    let brief: Vec<_> = instances
        .iter()
        .map(|one| (one.id, one.profile.as_str(), one.profile_id, one.placement.unwrap().to_string()))
        .collect();
    assert_eq!(brief, [(1, "3g.4gb", 9, "0:4".to_owned()), (11, "1g.1gb", 19, "4:1".to_owned())]);
    assert_eq!(mig::compute_instances(&smi.listed("-lci")), Ok(vec![(1, 0)]));
}
