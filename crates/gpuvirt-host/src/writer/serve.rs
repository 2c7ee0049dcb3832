//! The writer's side: reads requests, writes, answers, ends when nobody asks any more.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::announce::{BlockingAct, NAME, announce};
use super::module::ModuleName;
use super::programs::Programs;
use super::read::BlockingRead;
use super::request::{Answer, LINE_LIMIT, PROTOCOL, Request};
use super::write::BlockingWrite;
use crate::linux::{LinuxSysfs, write_once};
use crate::modprobe;
use crate::paths;
use crate::sysfs::Sysfs;
use crate::vendor::{self, ProgramCall};

/// All of a function's config space, the longest of what is read.
const READ_LIMIT: usize = 4096;

/// The whole life of a writer process: requests on `input`, answers on `output`, until `input` ends.
///
/// `root` is put in front of every path; it is empty on a real host. `programs` are those that it runs. A writer whose asker has gone finishes its
/// write, finds nobody to answer to, and ends.
///
/// # Errors
/// When input or output fail, and when the process can't be named: a daemon that is started later would not find it.
pub fn writer_main(
    input: impl Read,
    output: impl Write,
    root: &str,
    programs: &Programs<'_>,
) -> io::Result<()> {
    // Fails only for a group's leader, which then is alone in its group already.
    let _ = nix::unistd::setsid();
    // For people who look for what still waits (by its file it may be named otherwise), and for a later daemon, which looks at
    // processes of this name alone: without it nothing is written.
    write_once(Path::new(paths::OWN_COMM), NAME.as_bytes())?;
    match serve(input, output, root, programs, &|| is_there(io::stdin().as_fd())) {
        // Whoever asked has gone.
        Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        ended => ended,
    }
}

fn serve(
    input: impl Read,
    mut output: impl Write,
    root: &str,
    programs: &Programs<'_>,
    asker_is_there: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    loop {
        let mut line = String::new();
        if input.by_ref().take(LINE_LIMIT).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(Request::Write(write)) => carry_out(&write, root),
            Ok(Request::Set { write, shown }) => match set(&write, &shown, root, asker_is_there) {
                Some(answer) => answer,
                None => return Ok(()),
            },
            Ok(Request::Read(read)) => read_out(&read, root),
            Ok(Request::Run(call)) => run(&call, root, programs),
            Ok(Request::Load(module)) => load(&module, root),
            Ok(Request::Introduce) => Answer::Introduced { pid: std::process::id(), protocol: PROTOCOL },
            Err(e) => Answer::Rejected(e.to_string()),
        };
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        output.write_all(&line)?;
        output.flush()?;
    }
}

/// Whether somebody has the other end of what requests come from, of which those that were sent before can be read all the same: a
/// pipe (POLLHUP), or a connection on which nothing more is to be sent (POLLRDHUP). Where it can't be told, nobody has.
fn is_there(asker: BorrowedFd<'_>) -> bool {
    let mut one = [PollFd::new(asker, PollFlags::from_bits_retain(libc::POLLRDHUP))];
    // Nothing else is asked for, so whatever is told is that; nix knows no name for POLLRDHUP, and then gives no flags at all.
    let nothing = |fd: &PollFd<'_>| fd.revents().is_some_and(|got| got.is_empty());
    poll(&mut one, PollTimeout::ZERO).is_ok() && one.iter().all(nothing)
}

/// Sets a file that shows what was set. None: nobody is there to be told any more, and nothing was written.
///
/// It is announced before it is read, which may wait for as long as the write: who looks for what still waits must find that a
/// write is to come. Who has given it up meanwhile does not want it any more, and somebody may have set it otherwise.
fn set(
    write: &BlockingWrite,
    shown: &[String],
    root: &str,
    asker_is_there: &dyn Fn() -> bool,
) -> Option<Answer> {
    let read = match BlockingRead::parse(write.path()) {
        Ok(read) => read,
        Err(e) => return Some(Answer::Rejected(e.to_string())),
    };
    let _shown = match announce(&BlockingAct::Write(write.clone())) {
        Ok(file) => file,
        Err(e) => return Some(not_announced(&e)),
    };
    let before = read_out(&read, root);
    let is_so = |before: &[u8]| shown.iter().any(|shown| before == shown.as_bytes());
    if !matches!(&before, Answer::Content(before) if !is_so(before)) {
        return Some(before);
    }
    if !asker_is_there() {
        return None;
    }
    Some(match write_out(write, root) {
        Answer::Done => read_out(&read, root),
        refused => refused,
    })
}

fn read_out(read: &BlockingRead, root: &str) -> Answer {
    match LinuxSysfs::below(root).read(&read.path(), READ_LIMIT) {
        Ok(content) => Answer::Content(content),
        Err(e) => of_error(&e),
    }
}

fn run(call: &ProgramCall, root: &str, programs: &Programs<'_>) -> Answer {
    if let Err(why) = programs.permit(call) {
        return Answer::Rejected(why);
    }
    let _shown = match announce(&BlockingAct::Run(call.clone())) {
        Ok(file) => file,
        Err(e) => return Answer::Rejected(format!("the program could not be announced: {e}")),
    };
    match vendor::run(call, root) {
        Ok(end) => Answer::Ended(end),
        Err(e) => of_error(&e),
    }
}

fn load(module: &ModuleName, root: &str) -> Answer {
    if !root.is_empty() {
        return Answer::Rejected("a folder's tree has no kernel to load modules into".to_owned());
    }
    match modprobe::load(module.as_str()) {
        Ok(()) => Answer::Done,
        Err(e) => Answer::Rejected(e.to_string()),
    }
}

fn of_error(error: &io::Error) -> Answer {
    error.raw_os_error().map_or_else(|| Answer::Rejected(error.to_string()), Answer::Errno)
}

fn carry_out(request: &BlockingWrite, root: &str) -> Answer {
    let _shown = match announce(&BlockingAct::Write(request.clone())) {
        Ok(file) => file,
        Err(e) => return not_announced(&e),
    };
    write_out(request, root)
}

fn not_announced(error: &io::Error) -> Answer {
    Answer::Rejected(format!("the write could not be announced: {error}"))
}

fn write_out(request: &BlockingWrite, root: &str) -> Answer {
    let file = PathBuf::from([root, request.path()].concat());
    match write_once(&file, request.data().as_bytes()) {
        Ok(()) => Answer::Done,
        Err(e) => of_error(&e),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use gpuvirt_model::DriverRules;

    use super::*;

    /// What a writer over `root` answers to `input`, line by line.
    fn answers(input: &str, root: &str) -> Vec<Answer> {
        let mut output = Vec::new();
        let programs = Programs::OfDrivers(&|| Ok(DriverRules::default()));
        serve(input.as_bytes(), &mut output, root, &programs, &|| true).unwrap();
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn it_writes_what_is_allowed_and_says_what_the_kernel_said() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        let folder = dir.path().join("sys/bus/pci/devices/0000:41:00.0");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::File::create(folder.join("remove")).unwrap();
        let input = concat!(
            r#"{"write":{"path":"/sys/bus/pci/devices/0000:41:00.0/remove","data":"1"}}"#,
            "\n",
            r#"{"write":{"path":"/sys/bus/pci/devices/0000:41:00.1/remove","data":"1"}}"#,
            "\n",
            r#"{"write":{"path":"/etc/passwd","data":"1"}}"#,
            "\nnonsense\n",
            r#"{"read":"/sys/bus/pci/devices/0000:41:00.0/driver_override"}"#,
            "\n",
        );
        std::fs::File::create(folder.join("driver_override")).unwrap().write_all(b"(null)\n").unwrap();
        let answers = answers(input, root);
        assert_eq!(answers.len(), 5);
        assert_eq!(answers[4], Answer::Content(b"(null)\n".to_vec()));
        assert_eq!(answers[0], Answer::Done);
        assert_eq!(answers[1], Answer::Errno(nix::libc::ENOENT));
        assert!(matches!(&answers[2], Answer::Rejected(why) if why.contains("/etc/passwd")));
        assert!(matches!(answers[3], Answer::Rejected(_)));
        assert_eq!(std::fs::read_to_string(folder.join("remove")).unwrap(), "1");
    }

    #[test]
    fn what_shows_what_was_set_is_set_once_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sys/bus/pci/devices/0000:41:00.0");
        std::fs::create_dir_all(folder.join("power")).unwrap();
        for file in ["driver_override", "power/control"] {
            std::fs::File::create(folder.join(file)).unwrap();
        }
        let ask = |file: &str, data: &str, shown: &str| {
            let write = format!(r#"{{"path":"/sys/bus/pci/devices/{file}","data":"{data}"}}"#);
            format!(r#"{{"set":{{"write":{write},"shown":["{shown}"]}}}}"#) + "\n"
        };
        let input = ask("0000:41:00.0/driver_override", "vfio-pci", "vfio-pci\\n")
            + &ask("0000:41:00.0/driver_override", "nouveau", "vfio-pci")
            + &ask("0000:41:00.1/driver_override", "vfio-pci", "vfio-pci\\n")
            + &ask("0000:41:00.0/power/control", "on", "on\\n");
        let answers = answers(&input, dir.path().to_str().unwrap());
        assert_eq!(answers[0], Answer::Content(b"vfio-pci".to_vec()));
        assert_eq!(answers[1], answers[0], "it shows what it is to show, and nothing is written");
        assert_eq!(answers[2], Answer::Errno(nix::libc::ENOENT));
        assert!(matches!(&answers[3], Answer::Rejected(why) if why.contains("power/control")));
        assert_eq!(std::fs::read_to_string(folder.join("power/control")).unwrap(), "");
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_looked_at_and_not_set() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sys/bus/pci/devices/0000:41:00.0");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::File::create(folder.join("driver_override")).unwrap().write_all(b"theirs\n").unwrap();
        let write = r#"{"path":"/sys/bus/pci/devices/0000:41:00.0/driver_override","data":"vfio-pci"}"#;
        let input = format!("{{\"set\":{{\"write\":{write},\"shown\":[\"vfio-pci\"]}}}}\n");
        let mut output = Vec::new();
        serve(input.as_bytes(), &mut output, dir.path().to_str().unwrap(), &Programs::All, &|| false)
            .unwrap();
        assert!(output.is_empty());
        assert_eq!(std::fs::read_to_string(folder.join("driver_override")).unwrap(), "theirs\n");
    }

    #[test]
    fn whoever_has_hung_up_is_not_there_though_more_can_be_read() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        assert!(is_there(ours.as_fd()));
        theirs.write_all(b"a request that is not read yet\n").unwrap();
        assert!(is_there(ours.as_fd()));
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(!is_there(ours.as_fd()), "a connection on which nothing more is sent");

        let (ours, theirs) = nix::unistd::pipe().unwrap();
        let mut theirs = std::fs::File::from(theirs);
        theirs.write_all(b"a request\n").unwrap();
        assert!(is_there(ours.as_fd()));
        drop(theirs);
        assert!(!is_there(ours.as_fd()), "a pipe that nobody writes to");
    }

    #[test]
    fn a_program_that_nobody_configured_is_not_run() {
        let line = r#"{"run":{"program":"/bin/true","args":[],"function":null}}"#;
        let answers = answers(&format!("{line}\n"), "");
        assert!(matches!(&answers[..], [Answer::Rejected(why)] if why.contains("/bin/true")), "{answers:?}");
    }

    #[test]
    fn an_endless_line_is_cut_and_rejected() {
        let line = "x".repeat(10_000);
        assert!(answers(&line, "/nowhere").iter().all(|answer| matches!(answer, Answer::Rejected(_))));
    }
}
