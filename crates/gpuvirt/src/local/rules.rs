//! What counts as a GPU on this machine: the admin's additions in gpuvirtd's own configuration.
//!
//! The daemon judges that file as a whole; here its other keys do not matter, so that a listing without the daemon
//! shows the same GPUs as one with it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use gpuvirt_host::{GpuMatch, GpuMatchError, GpuRules};
use gpuvirt_model::{DriverRule, DriverRules};
use serde::Deserialize;

/// The largest configuration file that is read.
const LIMIT: u64 = 1 << 20;

/// Room for most: without it a small file is read in pieces of some bytes.
const ROOM: usize = 4096;

/// Why the additions are not known.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It can't be read.
    #[error("reading failed")]
    Read(#[source] io::Error),
    /// It is no TOML, or `gpu.extra` or `driver` is not what it should be.
    #[error("it makes no sense")]
    Wrong(#[source] toml::de::Error),
    /// A match names neither a class nor a card.
    #[error("an entry of gpu.extra is wrong")]
    Match(#[source] GpuMatchError),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    gpu: Gpu,
    driver: Vec<DriverRule>,
}

#[derive(Deserialize)]
struct Daemon {
    socket: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Gpu {
    extra: Vec<Extra>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Extra {
    Card { vendor: String, device: String },
    Class { class: String },
}

/// The rules in a file; those of nobody when there is none.
///
/// # Errors
/// [`RulesError`].
pub fn read(path: &Path) -> Result<GpuRules, RulesError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(GpuRules::default()),
        file => file.map_err(RulesError::Read)?,
    };
    let mut text = String::with_capacity(ROOM);
    file.take(LIMIT).read_to_string(&mut text).map_err(RulesError::Read)?;
    parse(&text)
}

/// Where the daemon listens by its configuration; none where that says nothing, or nothing that can be read.
pub fn socket(path: &Path) -> Option<PathBuf> {
    let mut text = String::with_capacity(ROOM);
    File::open(path).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
    socket_in(&text)
}

fn socket_in(text: &str) -> Option<PathBuf> {
    // Nearly no configuration has it, and understanding one takes longer than asking the daemon something.
    // A key in quotes may be spelt with escapes.
    let may_tell = text.contains("socket") || text.contains('\\');
    may_tell.then(|| toml::from_str::<Daemon>(text).ok())??.socket.filter(|socket| socket.is_absolute())
}

fn parse(text: &str) -> Result<GpuRules, RulesError> {
    let config: Config = toml::from_str(text).map_err(RulesError::Wrong)?;
    let read = |extra: &Extra| match extra {
        Extra::Card { vendor, device } => format!("{vendor}:{device}").parse(),
        Extra::Class { class } => class.parse(),
    };
    let extra: Result<Vec<GpuMatch>, GpuMatchError> = config.gpu.extra.iter().map(read).collect();
    Ok(GpuRules { extra: extra.map_err(RulesError::Match)?, drivers: DriverRules::with(config.driver) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_additions_matter() {
        let text = "socket = \"/x\"\nlater = { key = 1 }\n[[gpu.extra]]\nvendor = \"1234\"\ndevice = \"11e8\"\n\
                    [[gpu.extra]]\nclass = \"1200\"\n";
        let want = vec![GpuMatch::Device { vendor: 0x1234, device: 0x11e8 }, GpuMatch::Class(0x1200)];
        assert_eq!(parse(text).unwrap().extra, want);
        assert_eq!(parse("").unwrap(), GpuRules::default());
        assert_eq!(read(Path::new("/nonexistent/gpuvirtd.toml")).unwrap(), GpuRules::default());
    }

    #[test]
    fn the_socket_is_found_whatever_else_is_wrong_there() {
        let moved = Some(PathBuf::from("/run/x/y.sock"));
        assert_eq!(socket_in("socket = \"/run/x/y.sock\"\ngpu = 1\n"), moved);
        for text in ["", "# socket", "socket = 3", "socket = \"x.sock\"", "socket = \""] {
            assert_eq!(socket_in(text), None, "{text}");
        }
        assert_eq!(socket(Path::new("/nonexistent/gpuvirtd.toml")), None);
        assert_eq!(socket_in("\"s\\u006fcket\" = \"/run/x.sock\"\n"), Some(PathBuf::from("/run/x.sock")));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for text in [
            "[[gpu.extra]]\nvendor = \"12\"\ndevice = \"11e8\"\n",
            "[[gpu.extra]]\nclass = \"display\"\n",
            "[[gpu.extra]]\nclass = 1200\n",
            "[[gpu.extra]]\n",
            "[[gpu.extra",
            "gpu = 1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(read(Path::new("/")).is_err());
    }
}
