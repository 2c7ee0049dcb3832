//! The engine's domains.
