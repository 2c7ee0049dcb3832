//! `gpuvirt gpu ...`

use clap::{Args, Subcommand};
use gpuvirt_api::{GpuSelector, selector::check_label};
use gpuvirt_model::{ConfiguredType, RefusalCode, VgpuMode, When};

/// Verbs on GPUs.
#[derive(Debug, Subcommand)]
pub enum GpuCommand {
    /// List all GPUs: types configured and active, driver, IOMMU group, vGPUs, VMs. Changes nothing
    ///
    /// CONFIGURED is what was asked for, `-` for a GPU that gpuvirt does not manage; ACTIVE is what is in force.
    ///
    /// Example: gpuvirt gpu list -o json
    List,
    /// Show all that is known of one GPU. Changes nothing
    ///
    /// Functions, IOMMU group and its other members, BARs, reset methods, SR-IOV, profiles, vGPUs, VMs, and who
    /// holds it: processes with their file descriptors and containers, consoles, sound streams. As a user only
    /// your own processes can be seen; what needs root says so.
    ///
    /// Example: gpuvirt gpu show 41:00.0
    Show {
        /// Its address (0000:41:00.0 or 41:00.0) or its label
        gpu: GpuSelector,
    },
    /// Give a GPU a graphics type, and manage it. Changes the host and the configuration
    ///
    ///   shared         the host's driver has it
    ///   direct         passthrough: all functions on vfio-pci, for one VM
    ///   shared-direct  its vGPUs are for VMs
    ///   default        follow the host's default type
    ///
    /// Everything is checked before the first write: the IOMMU group, who holds the
    /// card, VMs, vGPUs. Refusals are shown all at once. A change that fails on the
    /// way is undone. Run twice, it does nothing the second time.
    ///
    /// Example: gpuvirt gpu set 41:00.0 --type direct --dry-run
    #[command(verbatim_doc_comment)]
    Set(SetArgs),
    /// Place nothing more on a GPU; what is on it stays. Changes the stored configuration only
    ///
    /// Example: gpuvirt gpu cordon 41:00.0
    Cordon {
        /// Its address (0000:41:00.0 or 41:00.0) or its label
        gpu: GpuSelector,
    },
    /// Place vGPUs on a GPU again. Changes the stored configuration only
    ///
    /// Example: gpuvirt gpu uncordon 41:00.0
    Uncordon {
        /// Its address (0000:41:00.0 or 41:00.0) or its label
        gpu: GpuSelector,
    },
    /// Forget a GPU's configuration: it is unmanaged from then on. Changes the stored configuration only
    ///
    /// The GPU stays as it is now, bound to the driver that it has. To give it back to the host first:
    /// `gpuvirt gpu set GPU --type shared`.
    ///
    /// Example: gpuvirt gpu unset 41:00.0
    Unset {
        /// Its address (0000:41:00.0 or 41:00.0) or its label
        gpu: GpuSelector,
    },
}

/// `gpu set`
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Its address (0000:41:00.0 or 41:00.0) or its label
    pub gpu: GpuSelector,
    /// shared, direct, shared-direct or default; vSphere's spellings are understood too
    #[arg(long = "type", value_name = "TYPE")]
    pub graphics_type: ConfiguredType,
    /// Which vGPU profiles may live together on it: same-size, mixed-size or mig. Only with shared-direct
    #[arg(long, value_name = "MODE")]
    pub vgpu_mode: Option<VgpuMode>,
    /// How many virtual functions it gets; without it, as many as it can have. Only with shared-direct
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub vfs: Option<u16>,
    /// A name for it, usable wherever an address is; where several GPUs share one, VMs can ask for any of them. "" takes
    /// it away
    #[arg(long, value_name = "LABEL", value_parser = parse_label)]
    pub label: Option<String>,
    /// Accept a refusal by its name; stored and shown. May be given more than once
    #[arg(long, value_name = "NAME", value_parser = parse_acceptable)]
    pub accept: Vec<RefusalCode>,
    /// When it comes into force: now; idle, as soon as nothing uses the card; boot, at the next one; vm, whenever a VM
    /// that asks for the card starts, and the host has it back afterwards
    #[arg(long, value_name = "WHEN", default_value_t)]
    pub when: When,
    /// Show the plan, as sentences and as the equivalent shell writes; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Longest wait for a write that can block, e.g. 30s or 5m
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = parse_seconds)]
    pub wait: Option<u64>,
}

fn parse_label(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    check_label(text).map(str::to_owned).map_err(|error| error.to_string())
}

fn parse_acceptable(text: &str) -> Result<RefusalCode, String> {
    let code: RefusalCode =
        text.parse().map_err(|error: gpuvirt_model::refusal::UnknownCode| error.to_string())?;
    if code.acceptable() {
        return Ok(code);
    }
    let can: Vec<&str> =
        RefusalCode::ALL.iter().filter(|code| code.acceptable()).map(|code| code.as_str()).collect();
    Err(format!("{code} is absolute; these can be accepted: {}", can.join(", ")))
}

/// Reads a duration in whole seconds: `30`, `30s`, `5m`, `1h`.
pub(super) fn parse_seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a time: write 30s, 5m or 1h");
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, text.get(digits.len()..).unwrap_or_default()),
        None => (text, "s"),
    };
    let factor = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let sound = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = if sound { digits.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    // A year is longer than anybody waits, and far from any overflow.
    number.checked_mul(factor).filter(|seconds| *seconds <= 31_536_000).ok_or_else(wrong)
}

/// Checks a name that libvirt or a driver gave: any text, but not nothing.
///
/// # Errors
/// The sentence for the user.
pub fn parse_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("a name can't be empty or hold a zero byte".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_seconds() {
        for (text, want) in [
            ("30", Some(30)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h", Some(3600)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1", None),
            ("+1", None),
            ("1.5s", None),
            ("5ms", None),
            ("5é", None),
            ("99999999999999999999", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(parse_seconds(text).ok(), want, "{text:?}");
        }
    }

    #[test]
    fn only_acceptable_refusals_are_accepted() {
        assert_eq!(parse_acceptable("boot-display"), Ok(RefusalCode::BootDisplay));
        assert!(parse_acceptable("group-not-viable").unwrap_err().contains("boot-display"));
        assert!(parse_acceptable("nonsense").is_err());
    }
}
