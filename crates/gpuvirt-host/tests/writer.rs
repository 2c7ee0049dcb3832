//! The writer as a real process: this program started again with `writer`, over a tree in which a named pipe
//! without a reader stands for a device that somebody holds: opening it for writing waits.
//!
//! It has no test harness: it is both the program that asks and the program that writes.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use gpuvirt_host::{
    LinuxSysfs, ProgramCall, ProgramError, Programs, ReadError, Sysfs, WriteError, WriterCommand,
    WriterOrigin, listen, waiting_writers, writer_main,
};
use gpuvirt_model::ProgramPath;

const FUNCTION: &str = "/sys/bus/pci/devices/0000:41:00.0";
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.as_slice() {
        [_, mode, root] if mode == "writer" => {
            return writer_main(io::stdin(), io::stdout(), root, &Programs::All).unwrap();
        }
        _ => {}
    }
    let tests: [(&str, fn()); 13] = [
        ("a_write_is_made_and_its_errno_comes_back", a_write_is_made_and_its_errno_comes_back),
        ("a_write_that_does_not_end_is_left_alone", a_write_that_does_not_end_is_left_alone),
        ("what_is_set_and_does_not_end_is_left_alone", what_is_set_and_does_not_end_is_left_alone),
        ("a_writer_that_dies_is_an_error", a_writer_that_dies_is_an_error),
        ("what_is_not_ours_to_write_is_refused", what_is_not_ours_to_write_is_refused),
        ("without_a_writer_nothing_is_written", without_a_writer_nothing_is_written),
        ("what_needs_the_lock_is_read_outside", what_needs_the_lock_is_read_outside),
        ("a_read_that_does_not_end_is_not_repeated", a_read_that_does_not_end_is_not_repeated),
        ("a_program_that_does_not_end_is_left_alone", a_program_that_does_not_end_is_left_alone),
        ("what_the_kernel_answers_at_once_is_written_outside_too", quick_writes_are_made_outside_too),
        ("a_writer_behind_a_socket_writes", a_writer_behind_a_socket_writes),
        ("a_writer_behind_a_socket_is_left_alone", a_writer_behind_a_socket_is_left_alone),
        ("nobody_behind_the_socket_is_an_error", nobody_behind_the_socket_is_an_error),
    ];
    // What cargo-nextest asks of a program without the usual harness: a list, and one test by its exact name.
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    if has("--list") {
        tests.iter().filter(|_| !has("--ignored")).for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    for (name, test) in tests.iter().filter(|(name, _)| !has("--exact") || has(name)) {
        test();
        println!("test {name} ... ok");
    }
}

/// A tree with one function, and the seam over it with ourselves as the writer.
fn sysfs() -> (tempfile::TempDir, LinuxSysfs) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(&FUNCTION[1..])).unwrap();
    let sysfs = LinuxSysfs::below(folder.path().to_str().unwrap()).with_writer(ourselves(folder.path()));
    (folder, sysfs)
}

fn ourselves(root: &Path) -> WriterCommand {
    let program = std::env::current_exe().unwrap().into_os_string();
    WriterCommand { program, args: vec![OsString::from("writer"), root.as_os_str().to_owned()] }
}

/// The same with writers from a service of writers.
fn sysfs_behind_a_socket() -> (tempfile::TempDir, LinuxSysfs) {
    let (folder, _) = sysfs();
    let (writer, socket) = (ourselves(folder.path()), folder.path().join("writers"));
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || listen(&listener, &writer, |error| panic!("{error}")));
    let sysfs = LinuxSysfs::below(folder.path().to_str().unwrap()).with_writer(WriterOrigin::Socket(socket));
    (folder, sysfs)
}

fn a_write_is_made_and_its_errno_comes_back() {
    writes_come_back(&sysfs());
}

fn a_writer_behind_a_socket_writes() {
    writes_come_back(&sysfs_behind_a_socket());
}

fn a_writer_behind_a_socket_is_left_alone() {
    what_does_not_end_is_left_alone(&sysfs_behind_a_socket());
}

fn nobody_behind_the_socket_is_an_error() {
    let (folder, _) = sysfs();
    let root = folder.path().to_str().unwrap();
    let write = |socket: &Path| {
        let sysfs = LinuxSysfs::below(root).with_writer(WriterOrigin::Socket(socket.to_owned()));
        match sysfs.write_that_may_block(&format!("{FUNCTION}/remove"), b"1", LONG) {
            Err(WriteError::Writer(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let absent = write(&folder.path().join("absent"));
    assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    assert!(absent.to_string().contains("absent"), "{absent}");
    let to_be_had = |name: &str| {
        let socket = WriterOrigin::Socket(folder.path().join(name));
        LinuxSysfs::below(root).with_writer(socket).writers().map_err(|error| error.kind())
    };
    assert_eq!(to_be_had("absent"), Err(io::ErrorKind::NotFound));
    // A file of that name is none, and a socket that nobody listens on any more has nobody either.
    std::fs::File::create(folder.path().join("file")).unwrap();
    let left = folder.path().join("left");
    drop(UnixListener::bind(&left).unwrap());
    assert_eq!(write(&left).kind(), io::ErrorKind::ConnectionRefused);
    for name in ["file", "left"] {
        assert_eq!(to_be_had(name), Err(io::ErrorKind::ConnectionRefused), "{name}");
    }
    // Whoever listens is not asked: nobody has connected.
    let listener = UnixListener::bind(folder.path().join("asleep")).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(to_be_had("asleep"), Ok(()));
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // One that hangs up at once, as systemd does where too many are there.
    let socket = folder.path().join("busy");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || listener.incoming().take(1).for_each(drop));
    write(&socket);
    // One that speaks another version.
    let socket = folder.path().join("other");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"{\"introduced\":{\"pid\":1,\"protocol\":999}}\n").unwrap();
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    assert!(write(&socket).to_string().contains("another version"));
}

fn quick_writes_are_made_outside_too() {
    let (folder, sysfs) = sysfs();
    let path = format!("{FUNCTION}/sriov_drivers_autoprobe");
    let file = folder.path().join(&path[1..]);
    std::fs::File::create(&file).unwrap();
    sysfs.write(&path, b"0").unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "0");
    // Only what a writer takes.
    std::fs::File::create(folder.path().join("passwd")).unwrap();
    assert!(sysfs.write("/passwd", b"0").is_err());
    assert_eq!(std::fs::read_to_string(folder.path().join("passwd")).unwrap(), "");
    assert!(sysfs.load_module("../x").is_err());
}

fn writes_come_back((folder, sysfs): &(tempfile::TempDir, LinuxSysfs)) {
    let file = folder.path().join(&FUNCTION[1..]).join("sriov_numvfs");
    std::fs::File::create(&file).unwrap();
    for count in ["4", "0", "7"] {
        sysfs.write_that_may_block(&format!("{FUNCTION}/sriov_numvfs"), count.as_bytes(), LONG).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), count);
    }
    let missing = sysfs.write_that_may_block(&format!("{FUNCTION}/remove"), b"1", LONG);
    let Err(WriteError::Errno(errno)) = missing else { panic!("{missing:?}") };
    assert_eq!(errno.raw_os_error(), Some(2));
}

fn a_write_that_does_not_end_is_left_alone() {
    what_does_not_end_is_left_alone(&sysfs());
}

fn what_does_not_end_is_left_alone((folder, sysfs): &(tempfile::TempDir, LinuxSysfs)) {
    let pipe = folder.path().join(&FUNCTION[1..]).join("remove");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let before = Instant::now();
    let stuck = sysfs.write_that_may_block(&format!("{FUNCTION}/remove"), b"1", SHORT);
    let Err(WriteError::StillWaiting { writer, waited }) = stuck else { panic!("{stuck:?}") };
    assert_eq!(waited, SHORT);
    assert!(before.elapsed() >= SHORT && before.elapsed() < LONG);
    assert!(Path::new(&format!("/proc/{writer}")).exists(), "the writer is left running");
    wait_for("a session of its own", || session_of(writer).as_deref() == Some(&writer.to_string()));

    wait_for("its announcement", || {
        announced(writer).as_deref() == Some(format!("{FUNCTION}/remove").as_str())
    });
    assert_eq!(std::fs::read_to_string(format!("/proc/{writer}/comm")).unwrap(), "gpuvirt-writer\n");

    // The next write gets a writer of its own.
    std::fs::File::create(folder.path().join(&FUNCTION[1..]).join("sriov_numvfs")).unwrap();
    sysfs.write_that_may_block(&format!("{FUNCTION}/sriov_numvfs"), b"0", LONG).unwrap();

    // The holder lets go: the write happens, and the writer ends since nobody asks it any more.
    let read = std::fs::read_to_string(&pipe).unwrap();
    assert_eq!(read, "1");
    wait_for("the end of its announcement", || announced(writer).is_none());
    wait_for("the writer's end", || state_of(writer).is_none_or(|state| state == 'Z'));
}

/// A pipe is read without waiting, and shows nothing; writing to it waits.
fn what_is_set_and_does_not_end_is_left_alone() {
    for (folder, sysfs) in [sysfs(), sysfs_behind_a_socket()] {
        let path = format!("{FUNCTION}/driver_override");
        let file = folder.path().join(&path[1..]);
        let set = |deadline| sysfs.set(&path, b"vfio-pci", &["vfio-pci\n"], deadline);
        assert!(matches!(set(LONG), Err(WriteError::Errno(e)) if e.raw_os_error() == Some(2)));
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        let waits = set(SHORT);
        let Err(WriteError::StillWaiting { writer, .. }) = waits else { panic!("{waits:?}") };
        wait_for("its announcement", || announced(writer).as_deref() == Some(path.as_str()));
        let again = set(LONG);
        let same = matches!(again, Err(WriteError::StillWaiting { writer: other, .. }) if other == writer);
        assert!(same, "another is sent after it: {again:?}");
        // Whoever is faster reads what was written, the test or the writer, which looks what came of it.
        std::fs::read_to_string(&file).unwrap();
        wait_for("the writer's end", || state_of(writer).is_none_or(|state| state == 'Z'));
        std::fs::remove_file(&file).unwrap();
        std::fs::File::create(&file).unwrap();
        assert_eq!(set(LONG).unwrap(), b"vfio-pci");
    }
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "{what}: not within {LONG:?}");
        std::thread::yield_now();
    }
}

fn a_program_that_does_not_end_is_left_alone() {
    let (folder, sysfs) = sysfs();
    let file = folder.path().join("tool");
    let (pipe, tool) = (folder.path().join("pipe"), ProgramPath::parse("/tool").unwrap());
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // The program gets no directory of its own: the pipe's path is in it.
    let text =
        format!("#!/bin/sh\n[ \"$1\" = -e ] || exit 3\necho waits\nread -r line <{}\n", pipe.display());
    std::fs::File::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let card = gpuvirt_model::PciAddress::parse("0000:41:00.0").unwrap();
    let call = |arg: &str| ProgramCall::new(&tool, [arg], Some(card)).unwrap();
    assert_eq!(sysfs.run(&call("-d"), LONG).unwrap().code, Some(3));

    let stuck = sysfs.run(&call("-e"), SHORT);
    let Err(ProgramError::StillWaiting { writer, .. }) = stuck else { panic!("{stuck:?}") };
    // A daemon that starts now sees it, by the card that it may hold.
    let here = LinuxSysfs::this_machine();
    wait_for("its announcement", || {
        let waiting = waiting_writers(&here).unwrap();
        waiting.iter().any(|w| w.pid == writer && w.write.function() == Some(card))
    });
    // Another program has a writer of its own meanwhile.
    assert_eq!(sysfs.run(&call("-d"), LONG).unwrap().code, Some(3));
    std::fs::OpenOptions::new().write(true).open(&pipe).unwrap().write_all(b"go on\n").unwrap();
    wait_for("its end", || waiting_writers(&here).unwrap().iter().all(|w| w.pid != writer));

    let missing = ProgramPath::parse("/none").unwrap();
    let missing = sysfs.run(&ProgramCall::new(&missing, ["-e"], None).unwrap(), LONG);
    assert!(matches!(missing, Err(ProgramError::Start(_))), "{missing:?}");
}

fn a_writer_that_dies_is_an_error() {
    let (folder, _) = sysfs();
    let root = folder.path().to_str().unwrap();
    for (program, args) in [("/bin/true", vec![]), ("/bin/echo", vec![OsString::from("nonsense")])] {
        let command = WriterCommand { program: program.into(), args };
        let sysfs = LinuxSysfs::below(root).with_writer(command);
        let result = sysfs.write_that_may_block(&format!("{FUNCTION}/remove"), b"1", LONG);
        assert!(matches!(result, Err(WriteError::Writer(_))), "{program}: {result:?}");
    }
    let command = WriterCommand { program: "/no/such/program".into(), args: vec![] };
    let result = LinuxSysfs::below(root).with_writer(command).write_that_may_block(
        &format!("{FUNCTION}/remove"),
        b"1",
        LONG,
    );
    assert!(matches!(result, Err(WriteError::Writer(e)) if e.kind() == io::ErrorKind::NotFound));
}

fn what_is_not_ours_to_write_is_refused() {
    let (folder, sysfs) = sysfs();
    std::fs::File::create(folder.path().join("passwd")).unwrap();
    let result = sysfs.write_that_may_block("/passwd", b"1", LONG);
    assert!(matches!(result, Err(WriteError::Writer(_))));
    assert_eq!(std::fs::read_to_string(folder.path().join("passwd")).unwrap(), "");
}

fn without_a_writer_nothing_is_written() {
    let (folder, _) = sysfs();
    let file = folder.path().join(&FUNCTION[1..]).join("remove");
    std::fs::File::create(&file).unwrap();
    let sysfs = LinuxSysfs::below(folder.path().to_str().unwrap());
    let result = sysfs.write_that_may_block(&format!("{FUNCTION}/remove"), b"1", LONG);
    assert!(matches!(result, Err(WriteError::Writer(e)) if e.kind() == io::ErrorKind::Unsupported));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
}

fn what_needs_the_lock_is_read_outside() {
    let (folder, sysfs) = sysfs();
    let path = format!("{FUNCTION}/driver_override");
    let absent = sysfs.read_that_may_block(&path, 4096, LONG);
    assert!(matches!(&absent, Err(ReadError::Errno(e)) if e.raw_os_error() == Some(2)), "{absent:?}");
    let mut file = std::fs::File::create(folder.path().join(&path[1..])).unwrap();
    file.write_all(b"vfio-pci\n").unwrap();
    assert_eq!(sysfs.read_that_may_block(&path, 4096, LONG).unwrap(), b"vfio-pci\n");
    assert_eq!(sysfs.read_that_may_block(&path, 4, LONG).unwrap(), b"vfio");
    let other = sysfs.read_that_may_block(&format!("{FUNCTION}/resource0"), 4, LONG);
    assert!(matches!(other, Err(ReadError::Reader(_))), "{other:?}");
    sysfs.write_that_may_block(&path, b"\n", LONG).unwrap();
}

fn a_read_that_does_not_end_is_not_repeated() {
    let (folder, _) = sysfs();
    let root = folder.path().to_str().unwrap();
    // A program that never answers stands for a read that the kernel keeps waiting.
    let command = WriterCommand { program: "/bin/sleep".into(), args: vec!["300".into()] };
    let sysfs = LinuxSysfs::below(root).with_writer(command);
    let read = |deadline| {
        let before = Instant::now();
        match sysfs.read_that_may_block(&format!("{FUNCTION}/driver_override"), 4096, deadline) {
            Err(ReadError::StillWaiting { waits }) => (waits, before.elapsed()),
            other => panic!("{other:?}"),
        }
    };
    let (first, took) = read(SHORT);
    assert!(took >= SHORT);
    let (again, took) = read(LONG);
    assert_eq!(again, first);
    assert!(took < LONG, "it did not wait again");
    assert!(std::process::Command::new("kill").arg(first.to_string()).status().unwrap().success());
    wait_for("its end", || state_of(first).is_none_or(|state| state == 'Z'));
    assert_ne!(read(SHORT).0, first, "it has ended, so it is asked anew");
}

/// The path that a writer announces.
fn announced(writer: u32) -> Option<String> {
    let waiting = waiting_writers(&LinuxSysfs::this_machine()).unwrap();
    waiting.into_iter().find(|waiting| waiting.pid == writer).map(|waiting| waiting.write.path().to_owned())
}

/// Field of `/proc/PID/stat` behind the command's closing bracket.
fn stat_field(pid: u32, field: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(field).map(str::to_owned)
}

fn session_of(pid: u32) -> Option<String> {
    stat_field(pid, 3)
}

fn state_of(pid: u32) -> Option<char> {
    stat_field(pid, 0)?.chars().next()
}
