//! Snapshots from strangers: refused or ignored, never obeyed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::io::Read as _;

use gpuvirt_host::Sysfs;
use gpuvirt_recording::{RecordedHost, RecordingError};
use tar::{Builder, EntryType, Header};

const DUMP: &[u8] = b"P: /devices/pci0000:00/0000:00:02.0\nE: SUBSYSTEM=pci\nA: class=0x030000\\n\n";
const MANIFEST: &[u8] = br#"{"version":1,"date":"d"}"#;

struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn sound() -> Self {
        Self::new().file("manifest.json", MANIFEST).file("host.umockdev", DUMP)
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, content)
    }

    /// Writes the name as it stands; `set_path` would refuse the names that matter here.
    fn entry(mut self, name: &str, kind: EntryType, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind == EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    /// A name of any length, which tar keeps in an entry of its own.
    fn long(mut self, name: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        self.0.append_data(&mut header, name, &b""[..]).unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn open(self) -> Result<RecordedHost, RecordingError> {
        RecordedHost::from_bytes(self.bytes())
    }
}

#[test]
fn entries_that_leave_the_snapshot_are_ignored_and_named() {
    for (name, kind) in [
        ("../../etc/cron.d/x", EntryType::Regular),
        ("/etc/passwd", EntryType::Regular),
        ("files/../../x", EntryType::Regular),
        ("files//etc/x", EntryType::Regular),
        ("files/proc/interrupts", EntryType::Symlink),
        ("files/proc/interrupts", EntryType::Link),
        ("files/proc/interrupts", EntryType::Fifo),
        ("something-else", EntryType::Regular),
    ] {
        let host = Tar::sound().entry(name, kind, b"").open().unwrap();
        assert!(host.notes().iter().any(|note| note.contains(name)), "{name}: {:?}", host.notes());
        assert!(host.read("/proc/interrupts", 10).is_err());
        assert!(host.read("/etc/passwd", 10).is_err());
    }
}

#[test]
fn names_too_long_or_too_deep_are_ignored_and_named() {
    for deep in [
        format!("files/proc/{}x", "a/".repeat(20_000)),
        format!("files/proc/{}", ["y".repeat(200).as_str(); 21].join("/")),
    ] {
        let host = Tar::sound().long(&deep).long("files/proc/fb").open().unwrap();
        let notes = host.notes();
        let note = notes.iter().find(|note| note.contains("too long or too deep")).expect("a note");
        assert!(note.contains("files/proc/") && note.len() < 200, "{note}");
        assert_eq!(host.list("/proc").unwrap(), ["fb"]);
    }
    let as_deep_as_it_may_be = format!("files/{}x", "a/".repeat(62));
    let host = Tar::sound().long(&as_deep_as_it_may_be).open().unwrap();
    assert!(host.exists(&as_deep_as_it_may_be["files".len()..]), "{:?}", host.notes());
}

#[test]
fn more_paths_than_any_host_has_are_refused() {
    // Each of its own folders all the way.
    let long = |number: usize| {
        format!("files/{number:0>60}/{}", [number.to_string().repeat(15).as_str(); 60].join("/"))
    };
    let mut tar = Tar::sound();
    for number in 1000..2500 {
        tar = tar.long(&long(number));
    }
    let error = tar.open().unwrap_err();
    assert!(matches!(error, RecordingError::TooManyPaths { .. }), "{error:?}");
}

#[test]
fn a_folder_full_of_files_is_read_in_seconds() {
    let names: Vec<String> = (0..95_000).rev().map(|number| format!("f{number:05}")).collect();
    let mut tar = Tar::sound();
    for name in &names {
        tar = tar.file(&format!("files/proc/{name}"), b"");
    }
    let bytes = tar.bytes();
    let begun = std::time::Instant::now();
    let host = RecordedHost::from_bytes(bytes).unwrap();
    // Sorted again for each file, it takes minutes.
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    let listed = host.list("/proc").unwrap();
    assert!(listed.len() == names.len() && listed.is_sorted());
}

#[test]
fn a_file_of_the_snapshot_is_read_in_place() {
    let host = Tar::sound().file("files/proc/interrupts", b"CPU0 IR-PCI-MSI\n").open().unwrap();
    assert_eq!(host.read("/proc/interrupts", 4).unwrap(), b"CPU0");
    assert_eq!(host.list("/proc").unwrap(), ["interrupts"]);
    assert_eq!(host.read("/sys/bus/pci/devices/0000:00:02.0/class", 99).unwrap(), b"0x030000\n");
}

#[test]
fn a_file_of_the_snapshot_does_not_replace_what_the_dump_says() {
    let path = "files/sys/devices/pci0000:00/0000:00:02.0/class";
    let host = Tar::sound().file(path, b"0x060000\n").open().unwrap();
    assert_eq!(host.read("/sys/bus/pci/devices/0000:00:02.0/class", 99).unwrap(), b"0x030000\n");
}

#[test]
fn damage_is_refused_with_a_reason() {
    let mut gigantic = Tar::new().file("manifest.json", MANIFEST).bytes();
    gigantic.truncate(1024);
    let mut header = Header::new_gnu();
    header.set_path("host.umockdev").unwrap();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    gigantic.extend_from_slice(header.as_bytes());
    let cases = [
        (Tar::new().file("host.umockdev", DUMP).bytes(), "manifest.json"),
        (Tar::new().file("manifest.json", MANIFEST).bytes(), "host.umockdev"),
        (Tar::new().file("manifest.json", b"{").file("host.umockdev", DUMP).bytes(), "manifest.json"),
        (Tar::sound().file("host.umockdev", DUMP).bytes(), "twice"),
        (gigantic, "more than the file has"),
        (Tar::sound().file("domains.json", b"[1]").bytes(), "domains.json"),
    ];
    for (bytes, want) in cases {
        let error = RecordedHost::from_bytes(bytes).unwrap_err();
        assert!(matches!(error, RecordingError::NotASnapshot(_)), "{error:?}");
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn later_versions_are_named() {
    let tar = Tar::new().file("manifest.json", br#"{"version":7,"other":1}"#).file("host.umockdev", DUMP);
    assert!(matches!(tar.open().unwrap_err(), RecordingError::Version { found: 7, known: 1 }));
}

#[test]
fn compressed_files_and_folders_are_named() {
    for (magic, with) in
        [(&[0x1f, 0x8b, 8][..], "gzip"), (b"\xfd7zXZ\0", "xz"), (&[0x28, 0xb5, 0x2f, 0xfd], "zstd")]
    {
        assert!(RecordedHost::from_bytes(magic.to_vec()).unwrap_err().to_string().contains(with));
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(RecordedHost::open(folder.path()).unwrap_err(), RecordingError::Read(_)));
    assert!(matches!(
        RecordedHost::open(&folder.path().join("absent")).unwrap_err(),
        RecordingError::Read(_)
    ));
}

#[test]
fn a_snapshot_cut_anywhere_is_an_error_or_readable() {
    let whole = Tar::sound().file("files/proc/interrupts", b"IR-\n").bytes();
    for end in (0..whole.len()).step_by(37) {
        if let Ok(host) = RecordedHost::from_bytes(whole[..end].to_vec()) {
            let _ = host.list("/sys/bus/pci/devices");
        }
    }
    assert!(RecordedHost::from_bytes(whole).is_ok());
}

#[test]
fn an_open_file_is_read_like_memory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), &Tar::sound().file("files/proc/fb", b"0 x\n").bytes())
        .unwrap();
    let host = RecordedHost::open(file.path()).unwrap();
    assert_eq!(host.read("/proc/fb", 99).unwrap(), b"0 x\n");
    assert_eq!(host.read("/sys/bus/pci/devices/0000:00:02.0/class", 99).unwrap(), b"0x030000\n");
    let mut content = Vec::new();
    std::fs::File::open(file.path()).unwrap().read_to_end(&mut content).unwrap();
    assert!(!content.is_empty());
}
