//! Steps as the shell commands that do the same, for people who want to see or do it by hand.

use gpuvirt_plan::{MigMode, Step, UnbindLock};

use super::vendor::{mixed_size_flag, vf_flag};
use crate::paths;

/// The equivalent of a step as one line of shell, to be run as root.
///
/// Every part of a path is checked text (addresses, uuids, driver names), but for the type's name, which is quoted.
pub fn shell(step: &Step) -> String {
    match step {
        Step::LoadModule { module } => format!("modprobe {module}"),
        Step::SetOverride { function, driver } => {
            let path = paths::function_file(*function, "driver_override");
            driver
                .as_ref()
                .map_or_else(|| format!("echo > {path}"), |driver| format!("echo {driver} > {path}"))
        }
        Step::Unbind { function, driver } => format!("echo {function} > {}", paths::unbind(driver)),
        Step::Probe { function, .. } => format!("echo {function} > {}", paths::DRIVERS_PROBE),
        Step::CreateMdev { uuid, place } => {
            let path = paths::mdev_type_file(place.parent, &place.type_id, "create");
            format!("echo {uuid} > '{}'", path.replace('\'', r"'\''"))
        }
        Step::SetVgpuType { vf, to, .. } => {
            format!("echo {to} > {}", paths::nvidia_vgpu_file(*vf, "current_vgpu_type"))
        }
        Step::SetVgpuParams { vgpu, to, .. } => {
            let text = if to.is_empty() { " ".to_owned() } else { to.to_string() };
            format!("echo '{text}' > {}", paths::vgpu_params(*vgpu))
        }
        Step::SetVfCount { function, to, .. } => {
            format!("echo {to} > {}", paths::function_file(*function, "sriov_numvfs"))
        }
        Step::SetVfAutoprobe { function, on } => {
            let path = paths::function_file(*function, "sriov_drivers_autoprobe");
            format!("echo {} > {path}", u8::from(on.is_on()))
        }
        Step::SetMigMode { gpu, command, to } => {
            format!("{command} -i {gpu} -mig {}", u8::from(*to == MigMode::On))
        }
        Step::CreateGpuInstance { gpu, command, profile_id, start, .. } => {
            let place = start.map_or_else(String::new, |start| format!(":{start}"));
            format!("{command} mig -i {gpu} -cgi {profile_id}{place} -C")
        }
        Step::RemoveGpuInstance { gpu, command, instance } => {
            let call = format!("{command} mig -i {gpu}");
            format!("{call} -dci -gi {0} && {call} -dgi -gi {0}", instance.id)
        }
        Step::CycleVfs { function, tool, to, .. } => format!("{tool} {} {function}", vf_flag(*to)),
        Step::SetMixedSize { gpu, command, to } => {
            format!("{command} vgpu -i {gpu} -shm {}", mixed_size_flag(*to))
        }
        Step::SetUnbindLock { function, driver, to } => {
            let path = paths::unbind_lock(driver, *function);
            format!("echo {} > {path}", u8::from(*to == UnbindLock::Taken))
        }
        Step::SetPowerControl { function, to } => {
            format!("echo {to} > {}", paths::power_control(*function))
        }
        Step::StopService { unit, .. } => format!("systemctl stop {unit}"),
        Step::StartService { unit, .. } => format!("systemctl start {unit}"),
        Step::RemoveMdev { uuid, .. } => format!("echo 1 > {}", paths::mdev_file(*uuid, "remove")),
    }
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{DriverName, PciAddress, PowerControl};

    use super::*;

    #[test]
    fn the_lines_are_what_the_steps_write() {
        let function = PciAddress::parse("41:00.0").unwrap();
        let driver = DriverName::parse("nouveau").unwrap();
        let override_of = "/sys/bus/pci/devices/0000:41:00.0/driver_override";
        for (step, line) in [
            (Step::LoadModule { module: DriverName::vfio_pci() }, "modprobe vfio-pci".to_owned()),
            (
                Step::SetOverride { function, driver: Some(DriverName::vfio_pci()) },
                format!("echo vfio-pci > {override_of}"),
            ),
            (Step::SetOverride { function, driver: None }, format!("echo > {override_of}")),
            (
                Step::Unbind { function, driver },
                "echo 0000:41:00.0 > /sys/bus/pci/drivers/nouveau/unbind".to_owned(),
            ),
            (
                Step::Probe { function, expect: None },
                "echo 0000:41:00.0 > /sys/bus/pci/drivers_probe".to_owned(),
            ),
            (
                Step::SetPowerControl { function, to: PowerControl::Auto },
                "echo auto > /sys/bus/pci/devices/0000:41:00.0/power/control".to_owned(),
            ),
        ] {
            assert_eq!(shell(&step), line);
        }
    }
}
