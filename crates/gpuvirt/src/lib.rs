//! The `gpuvirt` command.
//!
//! ```text
//! arguments -> cli -> verb -> asker -> daemon, or the host itself, or a recording
//!                      |                          |
//!                      v                          v
//!              exit code, stderr <- output <- documents of gpuvirt-api -> render
//! ```
//!
//! It decides nothing about GPUs and writes no kernel file: orders go to the daemon. Documents are made by
//! gpuvirt-api, so that a listing looks the same whoever read the host.

pub mod advice;
pub mod asker;
pub mod cli;
pub mod document;
pub mod driver_check;
pub mod explanation;
pub mod failure;
pub mod local;
pub mod output;
pub mod picture;
mod progress;
pub mod render;
pub mod run;
pub mod verb;
pub mod yaml;
