//! The inventory over a tree of kernel files of any shape and content.
//!
//! The input is text, a line for each file, so that seeds can be read: `PATH=CONTENT`, `PATH>LINK`, `PATH#MAJOR:MINOR`,
//! with `\n` for a line's end in the content.
#![no_main]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_host::{DeviceNumber, GpuRules, LinuxHost, Sysfs, WriteError};
use libfuzzer_sys::fuzz_target;

enum Entry {
    File(Vec<u8>),
    Link(String),
    Node(DeviceNumber),
}

struct Files(BTreeMap<String, Entry>);

impl Files {
    fn parse(text: &str) -> Self {
        let entries = text.lines().filter_map(|line| {
            let at = line.find(['=', '>', '#'])?;
            let (path, rest) = (line.get(..at)?, line.get(at + 1..)?);
            let entry = match line.get(at..=at)? {
                "=" => Entry::File(rest.replace("\\n", "\n").into_bytes()),
                ">" => Entry::Link(rest.to_owned()),
                _ => {
                    let (major, minor) = rest.split_once(':')?;
                    Entry::Node(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
                }
            };
            Some((path.to_owned(), entry))
        });
        Self(entries.collect())
    }

    fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        let inside = self.0.range(prefix.clone()..).take_while({
            let prefix = prefix.clone();
            move |(path, _)| path.starts_with(&prefix)
        });
        inside.filter_map(move |(path, _)| path.get(prefix.len()..)?.split('/').next())
    }
}

fn errno(kind: ErrorKind) -> io::Error {
    kind.into()
}

impl Sysfs for Files {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        match self.0.get(path) {
            Some(Entry::File(content)) => Ok(content.iter().take(limit).copied().collect()),
            Some(_) => Err(errno(ErrorKind::PermissionDenied)),
            None => Err(errno(ErrorKind::NotFound)),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = self.below(path).map(str::to_owned).collect();
        names.dedup();
        if names.is_empty() { Err(errno(ErrorKind::NotFound)) } else { Ok(names) }
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        match self.0.get(path) {
            Some(Entry::Link(target)) => Ok(target.clone()),
            Some(_) => Err(errno(ErrorKind::InvalidInput)),
            None => Err(errno(ErrorKind::NotFound)),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path) || self.below(path).next().is_some()
    }

    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>> {
        match self.0.get(path) {
            Some(Entry::Node(number)) => Ok(Some(*number)),
            Some(_) => Ok(None),
            None => Err(errno(ErrorKind::NotFound)),
        }
    }

    fn write(&self, path: &str, _: &[u8]) -> io::Result<()> {
        panic!("the inventory writes to {path}");
    }

    fn write_that_may_block(&self, path: &str, _: &[u8], _: Duration) -> Result<(), WriteError> {
        panic!("the inventory writes to {path}");
    }

    fn load_module(&self, name: &str) -> io::Result<()> {
        panic!("the inventory loads {name}");
    }
}

fuzz_target!(|text: &str| {
    let files = Files::parse(text);
    let Ok(observed) = LinuxHost::new(Arc::new(files), GpuRules::default()).observe() else { return };
    for (address, gpu) in &observed.gpus {
        assert_eq!(*address, gpu.address);
        assert!(gpu.functions.contains(address), "{gpu:?}");
        assert!(gpu.functions.iter().all(|function| observed.functions.contains_key(function)), "{gpu:?}");
    }
});
