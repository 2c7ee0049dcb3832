//! The writer as a program of its own, and the service that starts writers.
//!
//! ```text
//! gpuvirt-writer                     a child of the daemon: requests on standard input, answers on standard output
//! gpuvirt-writer serve [CONFIG]      the service: a writer for each connection to the socket that systemd hands over
//! gpuvirt-writer connection CONFIG   such a writer: it runs only programs that the configuration names
//! ```
//!
//! It links neither libvirt nor the server. A writer is started for the first write of a plan, and loading the whole
//! daemon would take longer than the write.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;

use anyhow::{Context as _, bail};
use gpuvirt_host::{Programs, WriterCommand, listen, writer_main};
use gpuvirt_model::{DriverRule, DriverRules};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde::Deserialize;

/// How the daemon runs, unless its command line names another file.
const CONFIG: &str = "/etc/gpuvirt/gpuvirtd.toml";
/// The largest configuration file.
const CONFIG_LIMIT: u64 = 1 << 20;

/// What of the daemon's configuration is a writer's matter.
#[derive(Deserialize)]
struct Configured {
    #[serde(default)]
    driver: Vec<DriverRule>,
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => be_writer(&Programs::All),
        ["serve"] => serve(CONFIG),
        ["serve", config] => serve(config),
        ["connection", config] => be_writer(&Programs::OfDrivers(&|| driver_rules(config))),
        _ => {
            bail!("usage: gpuvirt-writer [serve [CONFIG]]; started by gpuvirt-writer.service and by gpuvirtd")
        }
    }
}

fn be_writer(programs: &Programs<'_>) -> anyhow::Result<()> {
    Ok(writer_main(io::stdin().lock(), io::stdout().lock(), "", programs)?)
}

/// Serves the socket. Writers are this very program, whatever an upgrade has put in its place meanwhile.
fn serve(config: &str) -> anyhow::Result<()> {
    let handed_over = listenfd::ListenFd::from_env().take_unix_listener(0).context("systemd's socket")?;
    let Some(listener) = handed_over else { bail!("no socket was handed over: start gpuvirt-writer.socket") };
    ours_alone(&listener)?;
    let args = vec!["connection".into(), config.into()];
    let writer = WriterCommand { program: "/proc/self/exe".into(), args };
    // The journal keeps standard error.
    match listen(&listener, &writer, |error| eprintln!("a connection has no writer: {error}")) {
        Ok(never) => match never {},
        Err(error) => Err(error).context("accepting connections"),
    }
}

/// A writer that waits in the kernel must not keep the socket open.
fn ours_alone(listener: &UnixListener) -> anyhow::Result<()> {
    listener.set_nonblocking(false)?;
    fcntl(listener.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// The rules of drivers as the daemon has them; without the file the built-in ones.
fn driver_rules(config: &str) -> Result<DriverRules, String> {
    let text = match text_of(config) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("reading {config}: {error}")),
    };
    let configured: Configured = toml::from_str(&text).map_err(|error| format!("{config}: {error}"))?;
    Ok(DriverRules::with(configured.driver))
}

fn text_of(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(CONFIG_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use gpuvirt_model::DriverName;

    use super::*;

    #[test]
    fn the_rules_are_the_daemons() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gpuvirtd.toml");
        let path = file.to_str().unwrap();
        let put = |text: &str| File::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
        assert_eq!(driver_rules(path), Ok(DriverRules::default()), "no file");
        put(include_str!("../../etc/gpuvirtd.toml"));
        assert_eq!(driver_rules(path), Ok(DriverRules::default()), "the sample");
        put("polkit = false\n[[driver]]\nname = \"x\"\nvf_tool = \"/x\"\n");
        let rules = driver_rules(path).unwrap();
        assert_eq!(rules.vf_tool(DriverName::parse("x").ok().as_ref()).unwrap().as_str(), "/x");
        put("[[driver]]\nname = \"x\"\nvf_tool = \"x\"\n");
        assert!(driver_rules(path).unwrap_err().contains("absolute path"));
        assert!(driver_rules(folder.path().to_str().unwrap()).is_err(), "a folder");
    }
}
