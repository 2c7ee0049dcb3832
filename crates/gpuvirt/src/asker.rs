//! Whom a verb asks: the daemon, this host, or a recording.
//!
//! A question goes to the daemon where it answers, else to the host, and stderr says so; one about offers goes to the host at
//! once. An order goes to the daemon or nowhere.

use std::cell::{OnceCell, RefCell};
use std::path::Path;

use gpuvirt_api::client::DEFAULT_SOCKET;
use gpuvirt_api::{Client, ClientError};

use crate::cli::{Format, Global};
use crate::failure::Failure;
use crate::local::{self, Host};
use crate::picture::Picture;
use crate::progress::{Progress, Wait};
use crate::render::page::Page;
use gpuvirt_model::chain;

/// Asks on behalf of one invocation.
#[derive(Debug)]
pub struct Asker {
    global: Global,
    /// Made when it is first asked: where its socket is stands in the daemon's configuration.
    client: OnceCell<Client>,
    notes: RefCell<Page>,
    progress: Progress,
}

impl Asker {
    /// For the options of an invocation.
    pub fn new(global: &Global) -> Self {
        let progress = Progress::new(global.output, || local::socket(&global.socket));
        let notes = RefCell::new(Page::new());
        Self { global: global.clone(), client: OnceCell::new(), notes, progress }
    }

    /// The format to print in.
    pub fn format(&self) -> Format {
        self.global.output
    }

    /// Remembers a line for stderr.
    pub fn note(&self, text: impl std::fmt::Display) {
        self.notes.borrow_mut().line(format_args!("note: {text}"));
    }

    /// The lines for stderr.
    pub fn notes(&self) -> String {
        self.notes.take().into_text()
    }

    /// A question: to the daemon, or answered from a picture of the host.
    ///
    /// # Errors
    /// [`Failure`], the daemon's own or ours.
    pub fn ask<T>(
        &self,
        daemon: impl FnOnce(&Client) -> Result<T, ClientError>,
        local: impl FnOnce(&Picture) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.ask_of(local::live, daemon, local)
    }

    /// The same about what GPUs offer, and about nothing else of them: sysfs and our own documents hold all of it and everybody
    /// may read them, so the daemon knows no more, and to ask it takes longer than to look. It is asked where its socket is named.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub fn ask_of_offers<T>(
        &self,
        daemon: impl FnOnce(&Client) -> Result<T, ClientError>,
        local: impl FnOnce(&Picture) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.global.host.is_none() && self.global.socket == Path::new(DEFAULT_SOCKET) {
            return local(&self.reading(local::live_offers)?.picture);
        }
        self.ask_of(local::live_offers, daemon, local)
    }

    /// The same where who holds GPUs is not looked for.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub fn ask_without_holders<T>(
        &self,
        daemon: impl FnOnce(&Client) -> Result<T, ClientError>,
        local: impl FnOnce(&Picture) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.ask_of(local::live_without_holders, daemon, local)
    }

    fn ask_of<T>(
        &self,
        live: fn() -> Result<Host, Failure>,
        daemon: impl FnOnce(&Client) -> Result<T, ClientError>,
        local: impl FnOnce(&Picture) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(picture) = self.recording() {
            return local(&picture?);
        }
        match self.question(daemon) {
            Err(error) if error.is_unanswered() => {
                self.note(format_args!("{}; this host was read directly, VMs are unknown", chain(&error)));
                local(&self.reading(live)?.picture)
            }
            answer => answer.map_err(Failure::from),
        }
    }

    /// A question that only the daemon can answer, or a recording that holds libvirt's domains.
    ///
    /// # Errors
    /// [`Failure`] with the family `unreachable` when the daemon does not answer.
    pub fn ask_libvirt<T>(
        &self,
        daemon: impl FnOnce(&Client) -> Result<T, ClientError>,
        recorded: impl FnOnce(&Picture) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.recording() {
            Some(picture) => recorded(&picture?),
            None => self.question(daemon).map_err(Failure::of_question),
        }
    }

    /// An order: to the daemon only, and never together with a recording.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn order<T>(&self, daemon: impl FnOnce(&Client) -> Result<T, ClientError>) -> Result<T, Failure> {
        let simulate =
            "`gpuvirtd --host FILE --state-dir D --socket S` simulates a whole host from a recording";
        self.refuse_recording("this verb changes the host, and --host reads a recording")
            .map_err(|failure| failure.try_this(simulate))?;
        self.progress.during(Wait::Order, || daemon(self.client())).map_err(Failure::from)
    }

    /// Refuses `--host` where it makes no sense.
    ///
    /// # Errors
    /// A usage error with this message.
    pub fn refuse_recording(&self, message: &str) -> Result<(), Failure> {
        if self.global.host.is_some() { Err(Failure::usage(message)) } else { Ok(()) }
    }

    /// The recording's picture, when one was given.
    pub fn recording(&self) -> Option<Result<Picture, Failure>> {
        self.recorded_host().map(|host| host.map(|host| host.picture))
    }

    /// The recording itself, when one was given.
    pub fn recorded_host(&self) -> Option<Result<Host, Failure>> {
        let file = self.global.host.as_deref()?;
        Some(self.progress.during(Wait::Recording, || local::recorded(file)))
    }

    /// A question to the daemon and to nobody else.
    ///
    /// # Errors
    /// The client's.
    pub fn question<T>(
        &self,
        daemon: impl FnOnce(&Client) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.progress.during(Wait::Question, || daemon(self.client()))
    }

    /// Work that reads this host.
    pub fn reading<T>(&self, work: impl FnOnce() -> T) -> T {
        self.progress.during(Wait::Host, work)
    }

    /// Work that writes a snapshot.
    pub fn recording_host<T>(&self, work: impl FnOnce() -> T) -> T {
        self.progress.during(Wait::Snapshot, work)
    }

    /// The daemon, for who waits for what may never come: nothing is shown meanwhile.
    pub fn client(&self) -> &Client {
        let to = || Client::new(&local::socket(&self.global.socket)).with_key(self.global.key);
        self.client.get_or_init(to)
    }

    /// The picture of this host.
    ///
    /// # Errors
    /// [`Failure`] when not even the PCI bus can be read.
    pub fn live(&self) -> Result<Picture, Failure> {
        self.reading(local::live).map(|host| host.picture)
    }
}
