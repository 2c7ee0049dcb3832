//! Virtual functions that take vGPU types: the files of NVIDIA's vendor-specific VFIO.
//!
//! That driver's source is closed. What the sentences say was measured on its cards, and our test module does the same.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{Bench, Stop, failed, file, holds, same};

const SOURCE: &str = "closed; the test module's vgpu_files.c";

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "vgpu-type-of-a-free-function",
        sentence: "a virtual function without a type shows 0, and its placement_id and gpu_instance_id are ENXIO",
        source: SOURCE,
        check: |bench| {
            for vf in bench.typed()? {
                same("current_vgpu_type", &bench.text(&current(vf))?.as_str(), &"0\n")?;
                bench.unreadable(&file(vf, "nvidia/placement_id"), Errno::ENXIO)?;
                bench.unreadable(&file(vf, "nvidia/gpu_instance_id"), Errno::ENXIO)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "vgpu-type-garbage",
        sentence: "current_vgpu_type takes a decimal number, and nothing else: EINVAL",
        source: SOURCE,
        check: |bench| {
            let vf = first(bench)?;
            for data in ["x", "-1", "0x1", "1 2"] {
                bench.refused(&current(vf), data, Errno::EINVAL)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "vgpu-type-set-and-taken",
        sentence: "a type that is listed is set, shows, empties the function's own list, and is taken by 0",
        source: SOURCE,
        check: |bench| {
            let vf = first(bench)?;
            let before = creatable(bench, vf)?;
            let id = before.first().ok_or_else(|| Stop::NotRun(format!("{vf} lists no type")))?;
            bench.done(&current(vf), id)?;
            same("current_vgpu_type", &bench.text(&current(vf))?, &format!("{id}\n"))?;
            same("the list", &creatable(bench, vf)?, &Vec::new())?;
            bench.number(&file(vf, "nvidia/placement_id"))?;
            bench.done(&current(vf), "0\n")?;
            same("the list", &creatable(bench, vf)?, &before)
        },
    },
    Behaviour {
        id: "vgpu-type-not-creatable",
        sentence: "a type that is not listed, and any type over another, gives EIO and changes nothing",
        source: SOURCE,
        check: |bench| {
            let vf = first(bench)?;
            let listed = creatable(bench, vf)?;
            bench.refused(&current(vf), "4294967295", Errno::EIO)?;
            same("current_vgpu_type", &bench.text(&current(vf))?.as_str(), &"0\n")?;
            let id = listed.first().ok_or_else(|| Stop::NotRun(format!("{vf} lists no type")))?;
            bench.done(&current(vf), id)?;
            for other in &listed {
                bench.refused(&current(vf), other, Errno::EIO)?;
            }
            same("current_vgpu_type", &bench.text(&current(vf))?, &format!("{id}\n"))
        },
    },
    Behaviour {
        id: "vgpu-type-none-taken",
        sentence: "taking the type of a virtual function that has none succeeds",
        source: SOURCE,
        check: |bench| bench.done(&current(first(bench)?), "0"),
    },
    Behaviour {
        id: "vgpu-params-set-and-cleared",
        sentence: "vgpu_params is an empty line at first, keeps a list without the white space around it, and a space clears it",
        source: SOURCE,
        check: |bench| {
            let vf = first(bench)?;
            let params = file(vf, "nvidia/vgpu_params");
            let id = a_type(bench, vf)?;
            bench.done(&current(vf), &id)?;
            same("vgpu_params", &bench.text(&params)?.as_str(), &"\n")?;
            bench.done(&params, "disable_vnc=1, frame_rate_limiter=0")?;
            same("vgpu_params", &bench.text(&params)?.as_str(), &"disable_vnc=1, frame_rate_limiter=0\n")?;
            bench.done(&params, " loglevel=2\n")?;
            same("vgpu_params", &bench.text(&params)?.as_str(), &"loglevel=2\n")?;
            bench.done(&params, " ")?;
            same("vgpu_params", &bench.text(&params)?.as_str(), &"\n")
        },
    },
    Behaviour {
        id: "vgpu-params-go-with-the-type",
        sentence: "vgpu_params that are set are gone when the type is",
        source: SOURCE,
        check: |bench| {
            let vf = first(bench)?;
            let params = file(vf, "nvidia/vgpu_params");
            let id = a_type(bench, vf)?;
            bench.done(&current(vf), &id)?;
            bench.done(&params, "loglevel=2")?;
            bench.done(&current(vf), "0")?;
            bench.done(&current(vf), &id)?;
            same("vgpu_params", &bench.text(&params)?.as_str(), &"\n")
        },
    },
    Behaviour {
        id: "vgpu-params-too-long",
        sentence: "vgpu_params longer than 255 bytes gives EINVAL and changes nothing",
        source: SOURCE,
        check: |bench| {
            let vf = first(bench)?;
            let params = file(vf, "nvidia/vgpu_params");
            bench.done(&current(vf), &a_type(bench, vf)?)?;
            bench.done(&params, "loglevel=2")?;
            bench.refused(&params, &format!("a={}", "x".repeat(254)), Errno::EINVAL)?;
            same("vgpu_params", &bench.text(&params)?.as_str(), &"loglevel=2\n")
        },
    },
    Behaviour {
        id: "vgpu-type-lists-shrink-together",
        sentence: "a type set on one virtual function takes types from the lists of the others",
        source: SOURCE,
        check: |bench| {
            let vfs = bench.typed()?;
            let (Some(one), Some(other)) = (vfs.first(), vfs.get(1)) else {
                return Err(Stop::NotRun("there are not two virtual functions".to_owned()));
            };
            let before = creatable(bench, *other)?;
            for id in creatable(bench, *one)? {
                bench.done(&current(*one), &id)?;
                let now = creatable(bench, *other)?;
                holds(now.iter().all(|id| before.contains(id)), || format!("{now:?} has new types"))?;
                bench.done(&current(*one), "0")?;
                if now.len() < before.len() {
                    return Ok(());
                }
            }
            Err(failed(format!("no type changed the list {before:?}")))
        },
    },
];

fn current(vf: PciAddress) -> String {
    file(vf, "nvidia/current_vgpu_type")
}

fn first(bench: &Bench<'_>) -> Result<PciAddress, Stop> {
    bench.typed()?.first().copied().ok_or_else(|| Stop::NotRun("there is no virtual function".to_owned()))
}

/// A type that the virtual function could get.
fn a_type(bench: &Bench<'_>, vf: PciAddress) -> Result<String, Stop> {
    let listed = creatable(bench, vf)?.into_iter().next();
    listed.ok_or_else(|| Stop::NotRun(format!("{vf} lists no type")))
}

/// The types that a virtual function lists; the line above them is not always there.
fn creatable(bench: &Bench<'_>, vf: PciAddress) -> Result<Vec<String>, Stop> {
    let text = bench.text(&file(vf, "nvidia/creatable_vgpu_types"))?;
    let ids = text.lines().filter_map(|line| line.split_once(':')).map(|(id, _)| id.trim().to_owned());
    Ok(ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())).collect())
}
