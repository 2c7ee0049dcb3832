//! Documents as text for people: pure functions, one file a noun.
//!
//! Tables may change from version to version; programs read the same documents as JSON. Everything that came from
//! outside goes through [`page::Page`] or [`table::Table`], which let no control character reach the terminal.

pub mod advise;
pub mod capacity;
pub mod change;
pub mod config;
pub mod doctor;
pub mod driver;
pub mod esxcli;
pub mod event;
pub mod explanation;
pub mod function;
pub mod gpu;
pub mod holder;
pub mod host;
pub mod import;
pub mod iommu;
pub mod list;
pub mod mig;
pub mod migration;
pub mod page;
pub mod placement;
pub mod plain;
pub mod profile;
pub mod refusal;
pub mod size;
pub mod status;
pub mod table;
pub mod vgpu;
pub mod vm;
