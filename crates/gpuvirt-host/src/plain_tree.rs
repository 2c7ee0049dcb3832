//! A folder of plain files in the place of the kernel's, for unit tests. No durable file of the product is among them.

use crate::LinuxSysfs;

pub(crate) struct PlainTree(tempfile::TempDir);

impl PlainTree {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(path, text)| tree.put(path, text));
        tree
    }

    /// Writes a file, with the folders above it; one that is there is written anew.
    #[allow(clippy::disallowed_methods)]
    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) fn sysfs(&self) -> LinuxSysfs {
        LinuxSysfs::below(self.0.path().to_str().unwrap())
    }
}
