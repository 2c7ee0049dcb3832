//! The process that reads a card's GPU instances through NVIDIA's management library, and ends.
//!
//! The daemon itself never opens that library: an open one keeps cards from being prepared.

use anyhow::Context as _;
use gpuvirt_model::PciAddress;

/// Prints what the library tells of a card, as JSON.
///
/// # Errors
/// What the library did not tell.
pub fn print(gpu: PciAddress) -> anyhow::Result<()> {
    let state = gpuvirt_nvml::gpu_instances(gpu)?;
    let text = serde_json::to_string(&state).context("writing the answer")?;
    println!("{text}");
    Ok(())
}
