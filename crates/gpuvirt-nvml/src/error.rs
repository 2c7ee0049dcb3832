//! Why the library told nothing.

use gpuvirt_model::PciAddress;

/// Why the library told nothing.
#[derive(Debug, thiserror::Error)]
pub enum NvmlError {
    /// There is none, or it can't be loaded.
    #[error("NVIDIA's management library {library} cannot be opened")]
    Open {
        /// Its name.
        library: &'static str,
        /// What the loader said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An old one, without this function.
    #[error("NVIDIA's management library has no {function}")]
    Missing {
        /// The function.
        function: &'static str,
    },
    /// The library refused.
    #[error("{function} of {gpu} ended with the code {code} (nvmlReturn_t)")]
    Refused {
        /// The function.
        function: &'static str,
        /// The card.
        gpu: PciAddress,
        /// The library's code.
        code: u32,
    },
}
