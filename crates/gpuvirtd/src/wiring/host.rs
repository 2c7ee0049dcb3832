//! The engine's host.

/// The writer process.
///
/// # Errors
/// When its input or output fail.
pub fn be_writer() -> anyhow::Result<()> {
    Ok(())
}
