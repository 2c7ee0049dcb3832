//! `config apply`: a whole document made so. Everything that is in the way of any GPU is found before the first write;
//! then each GPU is a change of its own, and one that fails stops no other.

mod apply;
mod lead;
mod request;

pub use request::{ConfigReport, ConfigRequest, GpuReport, Strangers, Until};
