//! What the package's scripts say and hold, where documents and the doctor rely on it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a failed expectation is a failed test, and its files are its own

use std::fs;
use std::process::Command;

use gpuvirt_documents::read;

/// What `postrm remove` prints on a host with these lists: the one of now, and the one that the image was made with.
fn said(now: Option<&str>, of_image: Option<&str>) -> String {
    let root = tempfile::tempdir().unwrap();
    let base = root.path().to_str().unwrap();
    for (file, text) in [("etc/gpuvirt/claims", now), ("var/lib/gpuvirt/initramfs/6.1.0-1-amd64", of_image)] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
    }
    // It may touch nothing of this machine: all that it names lies below the folder.
    let script = ["/etc/gpuvirt", "/var/lib/", "/run/"]
        .iter()
        .fold(read("packaging/deb/postrm"), |text, path| text.replace(path, &format!("{base}{path}")));
    let output = Command::new("sh").args(["-c", &script, "postrm", "remove"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_package_says_of_an_old_image_though_no_card_is_claimed_any_more() {
    let card = "0000:41:00.0 10de 2235 10de 145a 030200 vfio-pci\n";
    for (now, of_image, hint) in [
        (Some("# none\n"), Some(card), true),
        (None, Some(card), true),
        (Some(card), None, true),
        (Some("# none\n"), Some("# none\n"), false),
        (None, None, false),
    ] {
        let said = said(now, of_image);
        assert_eq!(said.contains("update-initramfs -u"), hint, "{now:?} {of_image:?}: {said}");
    }
}

/// The doctor's remedy for a hook that was deleted copies it from there.
#[test]
fn the_package_has_a_copy_of_the_hook() {
    assert!(read("scripts/package").contains("put 755 \"$hook\" usr/share/gpuvirt/50-gpuvirt"));
    assert!(read("crates/gpuvirt-plan/src/diagnose/hook.rs").contains("/usr/share/gpuvirt/50-gpuvirt"));
}
