//! One golden folder.

use std::path::{Path, PathBuf};

use gpuvirt_domain::{Added, Device, EditError, GpuForGuest};

/// A case, read.
pub struct Case {
    pub name: String,
    pub before: String,
    pub device: Device,
    /// False where the document held leftovers of ours that removing takes along.
    pub remove_gives_before: bool,
    folder: PathBuf,
}

impl Case {
    /// All cases, in order of their names.
    pub fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/domain");
        let entries = std::fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        assert!(!folders.is_empty());
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        let text = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let json: serde_json::Value = serde_json::from_str(&text("device.json")).unwrap();
        let device = match json["mdev"].as_str() {
            Some(uuid) => Device::Mdev(uuid.parse().unwrap()),
            None => {
                let functions = json["gpu"].as_array().unwrap().iter();
                let functions = functions.map(|address| address.as_str().unwrap().parse().unwrap());
                Device::Gpu(GpuForGuest::new(functions).unwrap())
            }
        };
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            before: text("before.xml"),
            device,
            remove_gives_before: json["removeGivesBefore"].as_bool().unwrap_or(true),
            folder,
        }
    }

    /// Compares with a file of the folder (`None`: there must be none), or writes it when blessing.
    #[allow(clippy::disallowed_methods)] // golden files are neither kernel files nor durable state
    pub fn expect(&self, file: &str, got: Option<&str>) {
        let path = self.folder.join(file);
        if blessing() {
            match got {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => drop(std::fs::remove_file(&path)),
            }
            return;
        }
        let want = path.exists().then(|| std::fs::read_to_string(&path).unwrap());
        assert_eq!(
            got,
            want.as_deref(),
            "{}/{file}: not as expected; if the new text is right, run this test with GPUVIRT_BLESS=1 and read \
             the difference",
            self.name
        );
    }
}

/// Whether golden files are to be written anew.
pub fn blessing() -> bool {
    std::env::var_os("GPUVIRT_BLESS").is_some_and(|value| value == "1")
}

/// An outcome as `outcome.txt` says it.
pub fn outcome(added: &Result<Added, EditError>) -> String {
    match added {
        Ok(Added::Changed { fragment, .. }) => format!("changed\n{fragment}"),
        Ok(Added::AlreadyPresent { ours, managed }) => {
            format!("already present, ours: {ours}, managed: {managed}\n")
        }
        Err(error) => format!("error: {error}\n"),
    }
}
