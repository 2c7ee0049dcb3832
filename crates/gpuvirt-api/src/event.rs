//! Events: what happened, for whoever wants to be told instead of asking again and again.

use gpuvirt_model::PciAddress;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The media type of events as a stream (Server-Sent Events, of the HTML standard).
pub const STREAM: &str = "text/event-stream";
/// In a stream: the name of what is no event but [`EventsLost`].
pub const LOST: &str = "lost";

/// In a stream, under the name `lost`: events before the next one were missed, so look at everything again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventsLost {
    /// This life of the daemon, as in an event's id.
    pub daemon: Uuid,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Rises by one with each event of one daemon's life.
    pub sequence: u64,
    /// When, in UTC (RFC 3339).
    pub time: String,
    /// What kind of thing.
    pub kind: EventKind,
    /// The GPU that it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<PciAddress>,
    /// What happened, for people.
    pub text: String,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The daemon began to serve.
    Started,
    /// The daemon ends.
    Stopping,
    /// Somebody asked for a change, and it is done.
    Changed,
    /// A change was refused or failed.
    NotChanged,
    /// The host's devices changed, whoever did it.
    Host,
    /// A VM started, stopped or was defined.
    Vm,
    /// gpuvirtd did something by itself: restored a GPU, carried out what was pending.
    Reconciled,
}

/// Events after a given one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventList {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Always `EventList`.
    pub kind: String,
    /// This life of the daemon: with another one, sequences begin anew.
    pub daemon: Uuid,
    /// The sequence to ask with next.
    pub last: u64,
    /// Events between those asked for and these are not kept any more: look at everything again.
    pub lost: bool,
    /// The events, oldest first.
    pub items: Vec<Event>,
}
