//! The API over a real Unix socket: every route, who may write, and clients that do not behave.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod abuse;
mod access;
mod bodies;
mod ended;
mod fakes;
mod hook_seen;
mod http;
mod leaving;
mod once;
mod routes;
mod streaming;
mod stuck;
mod watching;
