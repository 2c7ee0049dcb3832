//! Whom a verb asks: the daemon, this host, or a recording.
//!
//! A question goes to the daemon where it answers, else to the host, and stderr says so. An order goes to the daemon
//! or nowhere.

use std::cell::RefCell;

use gpuvirt_api::{Client, ClientError};

use crate::cli::{Format, Global};
use crate::failure::Failure;
use crate::local::{self, Host};
use crate::picture::Picture;
use crate::progress;
use crate::render::page::Page;
use gpuvirt_model::chain;

/// Asks on behalf of one invocation.
#[derive(Debug)]
pub struct Asker {
    global: Global,
    client: Client,
    notes: RefCell<Page>,
}

impl Asker {
    /// For the options of an invocation.
    pub fn new(global: &Global) -> Self {
        let client = Client::new(&local::socket(&global.socket)).with_key(global.key);
        Self { global: global.clone(), client, notes: RefCell::new(Page::new()) }
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

    /// The same about what GPUs offer, and about nothing else of them.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub fn ask_of_offers<T>(
        &self,
        daemon: impl FnOnce(&Client) -> Result<T, ClientError>,
        local: impl FnOnce(&Picture) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
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
        match daemon(&self.client) {
            Err(error) if error.is_unanswered() => {
                self.note(format_args!("{}; this host was read directly, VMs are unknown", chain(&error)));
                local(&live()?.picture)
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
            None => daemon(&self.client).map_err(Failure::of_question),
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
        progress::shown_while(&self.global.socket, || daemon(&self.client)).map_err(Failure::from)
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
        self.global.host.as_deref().map(local::recorded)
    }

    /// The daemon.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The picture of this host.
    ///
    /// # Errors
    /// [`Failure`] when not even the PCI bus can be read.
    pub fn live(&self) -> Result<Picture, Failure> {
        local::live().map(|host| host.picture)
    }
}
