//! Which devices of the host play which part.

use gpuvirt_model::PciAddress;

/// The devices that the suite may bind, unbind, remove and reset. A part that is missing is not played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Testbed {
    /// A display function with a host driver, alone in its IOMMU group.
    pub plain: Option<PciAddress>,
    /// Display and audio function of one card, in one group.
    pub multi: Option<(PciAddress, PciAddress)>,
    /// Two functions with the same ids.
    pub twins: Option<(PciAddress, PciAddress)>,
    /// An SR-IOV physical function whose driver makes virtual ones.
    pub sriov: Option<PciAddress>,
    /// A display function and a foreign one in one group.
    pub dirty: Option<(PciAddress, PciAddress)>,
    /// A parent of mediated devices whose types share one pool.
    pub mdev: Option<PciAddress>,
    /// A physical function whose virtual ones are enabled and take vGPU types. Nothing is done to itself.
    pub typed: Option<PciAddress>,
}

/// Why a description of a testbed can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestbedError(String);

impl std::fmt::Display for TestbedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TestbedError {}

impl Testbed {
    /// Reads `KEY=ADDRESS` lines; `#` begins a comment, keys of others are ignored.
    ///
    /// # Errors
    /// [`TestbedError`] for a known key with a value that is no PCI address.
    pub fn parse(text: &str) -> Result<Self, TestbedError> {
        let find = |key: &str| -> Result<Option<PciAddress>, TestbedError> {
            let values =
                text.lines().map(str::trim).filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            let Some(value) = values.map(|value| value.trim().trim_matches(['"', '\''])).next_back() else {
                return Ok(None);
            };
            PciAddress::parse(value).map(Some).map_err(|error| TestbedError(format!("{key}: {error}")))
        };
        let pair = |first: &str, second: &str| Ok::<_, TestbedError>(find(first)?.zip(find(second)?));
        Ok(Self {
            plain: find("PLAIN_GPU")?,
            multi: pair("MULTI_GPU", "MULTI_AUDIO")?,
            twins: pair("TWIN_A", "TWIN_B")?,
            sriov: find("SRIOV_PF")?,
            dirty: pair("DIRTY_GPU", "DIRTY_NIC")?,
            mdev: find("MDEV_GPU")?,
            typed: find("TYPED_PF")?,
        })
    }

    /// All devices that the suite touches.
    pub fn functions(&self) -> Vec<PciAddress> {
        let pairs = [self.multi, self.twins, self.dirty].into_iter().flatten().flat_map(|(a, b)| [a, b]);
        [self.plain, self.sriov, self.mdev].into_iter().flatten().chain(pairs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_line_by_line() {
        let text = "# lab\nPLAIN_GPU=0000:01:00.0\nTWIN_A=03:00.0\nTWIN_B=\"0000:04:00.0\"\nOTHER=x\nMULTI_GPU=0000:02:00.0\n";
        let testbed = Testbed::parse(text).unwrap();
        assert_eq!(testbed.plain.unwrap().to_string(), "0000:01:00.0");
        assert_eq!(testbed.twins.unwrap().1.to_string(), "0000:04:00.0");
        assert_eq!(testbed.multi, None, "half a pair is none");
        assert!(Testbed::parse("PLAIN_GPU=nowhere\n").unwrap_err().to_string().contains("PLAIN_GPU"));
    }
}
