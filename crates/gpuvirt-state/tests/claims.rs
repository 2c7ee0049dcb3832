//! The list of early claims and what the package's hooks note of it, byte for byte as released: a shell in some initramfs, made
//! by an earlier version, reads the one, and a later version compares the other.
//!
//! Golden files are below tests/golden/state/v1-claims; GPUVIRT_BLESS=1 writes them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic, and makes a host's files

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use gpuvirt_model::{ClassCode, DriverName, PciAddress, PciIdentity};
use gpuvirt_plan::claim::Claim;
use gpuvirt_state::ClaimFiles;

const KERNEL: &str = "6.12.48+deb13-amd64";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn claim(address: &str, device: u16, class: u32) -> Claim {
    let identity = PciIdentity {
        vendor: 0x10de,
        device,
        subsystem_vendor: 0x1043,
        subsystem_device: 0x87d9,
        class: ClassCode(class),
    };
    Claim { function: PciAddress::parse(address).unwrap(), identity, driver: DriverName::vfio_pci() }
}

/// A card with its sound, and one in another domain.
fn claims() -> [Claim; 3] {
    [
        claim("0000:41:00.0", 0x2204, 0x03_00_00),
        claim("0000:41:00.1", 0x1aef, 0x04_03_00),
        claim("10000:01:00.0", 0x0a00, 0x03_02_00),
    ]
}

/// A host below a folder, with both hooks installed and what they call replaced by the least that works.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for folder in [
            "etc",
            "boot",
            "usr/sbin",
            "usr/lib/gpuvirt",
            "usr/share/initramfs-tools/hooks",
            "image",
            "var/lib",
        ] {
            fs::create_dir_all(host.at(folder)).unwrap();
        }
        fs::create_dir_all(host.at("lib/modules").join(KERNEL)).unwrap();
        fs::copy(format!("{ROOT}/packaging/claim"), host.at("usr/lib/gpuvirt/claim")).unwrap();
        host
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn files(&self) -> ClaimFiles {
        let (folder, notes) = (self.at("etc/gpuvirt"), self.at("var/lib/gpuvirt/initramfs"));
        ClaimFiles { folder, notes, root: self.0.path().to_owned() }
    }

    /// A script of the package, with its paths below this host's folder.
    fn script(&self, name: &str) -> String {
        let root = self.0.path().to_str().unwrap();
        let text = fs::read_to_string(format!("{ROOT}/packaging/{name}")).unwrap();
        ["/etc/gpuvirt", "/var/lib/gpuvirt", "/usr/lib/gpuvirt", "/lib/modules"]
            .iter()
            .fold(text, |text, path| text.replace(path, &format!("{root}{path}")))
    }

    /// mkinitramfs, as far as our hook sees it.
    fn initramfs_tools(&self) {
        let (script, image) = (self.at("hook"), self.at("image"));
        fs::write(&script, self.script("initramfs-tools/hook")).unwrap();
        self.run(Command::new("sh").arg(script).env("DESTDIR", image).env("version", KERNEL));
    }

    /// dracut, as far as our module sees it.
    fn dracut(&self) {
        let script = self.at("module");
        let calls = "inst_simple() { mkdir -p \"$image${1%/*}\"; cp \"$1\" \"$image$1\"; }
            inst_hook() { echo \"$1 $2 ${3##*/}\" >\"$image/hooks\"; }
            dwarn() { echo \"$1\" >&2; exit 1; }\n";
        fs::write(&script, format!("{calls}{}\ninstall\n", self.script("dracut/module-setup.sh"))).unwrap();
        let set = [("image", self.at("image")), ("kernel", KERNEL.into()), ("moddir", "/".into())];
        self.run(Command::new("bash").arg("-u").arg(script).envs(set));
    }

    #[track_caller]
    fn run(&self, command: &mut Command) {
        let output = command.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    /// Where the hook copied it to: below the image's folder, the host's own folder in between.
    fn in_the_image(&self, path: &str) -> PathBuf {
        self.at("image").join(self.at(path).strip_prefix("/").unwrap())
    }
}

#[track_caller]
fn is_golden(name: &str, now: &str) {
    let path = Path::new(ROOT).join("tests/golden/state/v1-claims").join(name);
    if std::env::var_os("GPUVIRT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, now).unwrap();
    }
    let want = fs::read_to_string(&path).unwrap();
    assert_eq!(
        want, now,
        "{name} must stay as released: a changed format is a new version (or GPUVIRT_BLESS=1)"
    );
}

#[test]
fn the_list_is_as_released() {
    let host = Host::new();
    host.files().write(&claims()).unwrap();
    is_golden("claims", &fs::read_to_string(host.at("etc/gpuvirt/claims")).unwrap());
    host.files().write(&[]).unwrap();
    is_golden("claims-none", &fs::read_to_string(host.at("etc/gpuvirt/claims")).unwrap());
}

#[test]
fn both_hooks_put_the_list_into_the_image_and_note_it() {
    for make in [Host::initramfs_tools, Host::dracut] {
        let host = Host::new();
        let note = host.at("var/lib/gpuvirt/initramfs").join(KERNEL);
        // Without a list the note is there too, and empty: an image without claims.
        make(&host);
        is_golden("note-none", &fs::read_to_string(&note).unwrap());
        assert!(!host.in_the_image("etc/gpuvirt/claims").exists());
        host.files().write(&claims()).unwrap();
        make(&host);
        is_golden("note", &fs::read_to_string(&note).unwrap());
        is_golden("claims", &fs::read_to_string(host.in_the_image("etc/gpuvirt/claims")).unwrap());
        assert!(host.in_the_image("usr/lib/gpuvirt/claim").is_file(), "what reads the list is there too");
        let notes: Vec<_> =
            fs::read_dir(note.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(notes, [KERNEL], "and nothing else");
    }
}

#[test]
fn what_is_said_of_an_image_that_is_behind_is_as_released() {
    let host = Host::new();
    let files = host.files();
    let image = host.at("boot").join(format!("initrd.img-{KERNEL}"));
    let mut said = String::new();
    let mut say = |when: &str| {
        let text = files.stale_image(KERNEL).unwrap_or_else(|| "-".to_owned());
        let text = text.replace(host.0.path().to_str().unwrap(), "");
        said.push_str(&format!("{when}\n  {text}\n"));
    };
    for file in ["usr/share/initramfs-tools/hooks/gpuvirt", "usr/sbin/update-initramfs"] {
        fs::write(host.at(file), "").unwrap();
    }
    say("no image");
    fs::write(&image, "").unwrap();
    say("an image, no list");
    files.write(&claims()).unwrap();
    say("a list, and an image from before the package");
    host.initramfs_tools();
    let made = SystemTime::now() + Duration::from_secs(5);
    let open = || File::options().write(true).open(&image).unwrap();
    open().set_modified(made).unwrap();
    say("an image with the list");
    open().set_modified(made - Duration::from_secs(3600)).unwrap();
    say("the hook ran, and the image was not finished");
    open().set_modified(made).unwrap();
    files.write(&claims()[..1]).unwrap();
    say("a shorter list than the image has");
    files.write(&[]).unwrap();
    say("no card is claimed any more, and the image claims one");
    fs::remove_file(host.at("usr/share/initramfs-tools/hooks/gpuvirt")).unwrap();
    say("nothing of ours makes images");
    is_golden("image.txt", &said);
}
