//! GPU instances, as the vendor's command shows and makes them, and what the driver makes of them.
//!
//! What was seen of NVIDIA's: MIG mode is refused while virtual functions are on, and only pending while somebody has
//! the card; instances go with every coming and going of virtual functions; types are offered on a free instance of
//! their profile only. The driver chooses where an instance goes: here, the last place that is free.

use std::fmt::Write as _;

use gpuvirt_host::ProgramEnd;
use gpuvirt_model::PciAddress;

use crate::program::ended;
use crate::state::{CutCard, Kernel};

impl Kernel {
    /// Whether a card's GPU instances let a virtual function have a type now.
    pub(crate) fn lets_type(&self, pf: PciAddress, type_id: u32) -> bool {
        let Some(card) = self.cut_cards.get(&pf) else { return true };
        let backed = card.kinds.iter().any(|kind| kind.types.contains(&type_id));
        if card.enabled { card.instance_for(type_id).is_some() } else { !backed }
    }

    /// A virtual function gets a type: it lives on an instance from now on.
    pub(crate) fn settle_on_instance(&mut self, pf: PciAddress, vf: PciAddress, type_id: u32) {
        if let Some(card) = self.cut_cards.get_mut(&pf).filter(|card| card.enabled) {
            if let Some(id) = card.instance_for(type_id) {
                card.on.insert(vf, id);
            }
        }
    }

    /// A virtual function has no type any more.
    pub(crate) fn leave_instance(&mut self, vf: PciAddress) {
        for card in self.cut_cards.values_mut() {
            card.on.remove(&vf);
        }
    }

    /// The instance on which a virtual function's vGPU lives; none where it lives on none.
    pub(crate) fn instance_of(&self, pf: PciAddress, vf: PciAddress) -> Option<u32> {
        self.cut_cards.get(&pf)?.on.get(&vf).copied()
    }

    /// Whether MIG mode of a card is on.
    pub(crate) fn is_cut(&self, pf: PciAddress) -> bool {
        self.cut_cards.get(&pf).is_some_and(|card| card.enabled)
    }

    /// Virtual functions came or went: the driver forgets every instance.
    pub(crate) fn wipe_instances(&mut self, pf: PciAddress) {
        if let Some(card) = self.cut_cards.get_mut(&pf) {
            card.instances.clear();
            card.on.clear();
        }
    }

    /// `-mig 0|1`
    pub(crate) fn set_mig_mode(&mut self, card: &str, on: bool) -> ProgramEnd {
        let Some(pf) = known(card) else { return ended(6, "No devices were found\n", "") };
        let in_use = self.locks.get(&pf).is_some_and(|lock| self.is_open(&lock.node.clone()));
        let with_vfs = !self.vfs_of(pf).is_empty();
        let Some(state) = self.cut_cards.get_mut(&pf) else {
            return ended(3, &format!("Unable to set MIG Mode for GPU {card}: Not Supported\n"), "");
        };
        if !on && (with_vfs || !state.instances.is_empty()) {
            let text = format!(
                "Unable to disable MIG Mode for GPU {card}: In use by another client\nTerminating early due to \
                 previous errors.\n"
            );
            return ended(19, &text, "");
        }
        if on && (with_vfs || in_use) {
            state.pending = Some(true);
            let text = format!(
                "Warning: MIG mode is in pending enable state for GPU {card}:In use by another client\nAll done.\n"
            );
            return ended(0, &text, "");
        }
        (state.enabled, state.pending) = (on, None);
        self.renew_vgpu_types(pf);
        let verb = if on { "Enabled" } else { "Disabled" };
        ended(0, &format!("{verb} MIG Mode for GPU {card}\nAll done.\n"), "")
    }

    /// `--query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader`
    pub(crate) fn show_mig_mode(&self, card: &str) -> ProgramEnd {
        let state = known(card).and_then(|pf| self.cut_cards.get(&pf));
        let Some(state) = state else { return ended(0, "[N/A], [N/A]\n", "") };
        let word = |on: bool| if on { "Enabled" } else { "Disabled" };
        let pending = state.pending.unwrap_or(state.enabled);
        ended(0, &format!("{}, {}\n", word(state.enabled), word(pending)), "")
    }

    /// `mig -i CARD ...`
    pub(crate) fn mig(&mut self, card: &str, args: &[&str]) -> Option<ProgramEnd> {
        let pf = known(card)?;
        let Some(state) = self.cut_cards.get_mut(&pf) else {
            return Some(ended(6, "No MIG-supported devices found.\n", ""));
        };
        let end = match args {
            ["-lgip"] => state.list_kinds(),
            ["-lgipp"] => state.list_places(),
            _ if !state.enabled => ended(6, "No MIG-enabled devices found.\n", ""),
            ["-lgi"] => state.list_instances(),
            ["-lci"] => state.list_compute(),
            ["-cgi", profile] => state.made(profile, false),
            ["-cgi", profile, "-C"] => state.made(profile, true),
            ["-gi", id, "-cci"] => state.with_compute(id),
            ["-dci", "-gi", id] => state.without_compute(id),
            ["-dgi", "-gi", id] => state.gone(id),
            _ => return None,
        };
        self.renew_vgpu_types(pf);
        Some(end)
    }
}

/// What the command answers.
impl CutCard {
    fn list_kinds(&self) -> ProgramEnd {
        let mut text = "\
+-----------------------------------------------------------------------------+
| GPU instance profiles:                                                      |
| GPU   Name             ID    Instances   Memory     P2P    SM    DEC   ENC  |
|                              Free/Total   GiB              CE    JPEG  OFA  |
|=============================================================================|
"
        .to_owned();
        let empty = Self::new(&self.kinds);
        for kind in &self.kinds {
            let free = if self.enabled { self.free(kind) } else { 0 };
            let _ = writeln!(
                text,
                "|   0  MIG {:<14} {:>2}     {free}/{}       {:>5}       No     14     0     0   |",
                kind.name,
                kind.id,
                empty.free(kind),
                kind.gib
            );
            text.push_str(
                "|                                                             1     0     0   |\n",
            );
        }
        ended(0, &text, "")
    }

    fn list_places(&self) -> ProgramEnd {
        let mut text = String::new();
        for kind in &self.kinds {
            let starts: Vec<String> = kind.starts.iter().map(u32::to_string).collect();
            let word = if starts.len() == 1 { "Placement " } else { "Placements" };
            let _ = writeln!(
                text,
                "GPU  0 Profile ID {:>2} {word}: {{{}}}:{}",
                kind.id,
                starts.join(","),
                kind.size
            );
        }
        ended(0, &text, "")
    }

    fn list_instances(&self) -> ProgramEnd {
        if self.instances.is_empty() {
            return ended(6, "No GPU instances found: Not Found\n", "");
        }
        let mut text = "\
| GPU instances:                                        |
| GPU   Name             Profile  Instance   Placement  |
|                          ID       ID       Start:Size |
"
        .to_owned();
        for one in &self.instances {
            let Some(kind) = self.kind(one.kind) else { continue };
            let _ = writeln!(
                text,
                "|   0  MIG {:<14} {:>4}     {:>4}          {}:{}     |",
                kind.name, kind.id, one.id, one.start, kind.size
            );
        }
        ended(0, &text, "")
    }

    fn list_compute(&self) -> ProgramEnd {
        let mut text = String::new();
        for one in self.instances.iter().filter(|one| one.with_compute) {
            let name = self.kind(one.kind).map_or("", |kind| kind.name);
            let _ =
                writeln!(text, "|   0  {:>5}       MIG {name:<14}    0         0          0:1     |", one.id);
        }
        if text.is_empty() {
            return ended(6, "No compute instances found: Not Found\n", "");
        }
        ended(0, &format!("| Compute instances: |\n{text}"), "")
    }

    fn made(&mut self, profile: &str, with_compute: bool) -> ProgramEnd {
        match self.create(profile, with_compute) {
            Ok((id, name)) => {
                let text = format!(
                    "Successfully created GPU instance ID {id:>2} on GPU  0 using profile MIG {name}\n"
                );
                ended(0, &text, "")
            }
            Err(why) => {
                let text = format!(
                    "Unable to create a GPU instance on GPU  0 using profile {profile}: {why}\nFailed to create \
                     GPU instances: {why}\n"
                );
                ended(if why == "Invalid Argument" { 2 } else { 17 }, &text, "")
            }
        }
    }

    fn with_compute(&mut self, id: &str) -> ProgramEnd {
        match self.instances.iter_mut().find(|one| id.parse() == Ok(one.id)) {
            Some(one) if !one.with_compute => {
                one.with_compute = true;
                ended(0, "Successfully created compute instance ID  0\n", "")
            }
            Some(_) => ended(17, "Failed to create compute instances: Insufficient Resources\n", ""),
            None => ended(6, "No GPU instances found: Not Found\n", ""),
        }
    }

    fn without_compute(&mut self, id: &str) -> ProgramEnd {
        let (id, used) = (id.parse().unwrap_or(u32::MAX), id.parse().is_ok_and(|id| self.is_used(id)));
        match self.instances.iter_mut().find(|one| one.id == id) {
            Some(one) if one.with_compute && !used => {
                one.with_compute = false;
                ended(
                    0,
                    &format!(
                        "Successfully destroyed compute instance ID  0 from GPU  0 GPU instance ID {id:>2}\n"
                    ),
                    "",
                )
            }
            Some(one) if one.with_compute => in_use("compute instance ID  0", "compute"),
            _ => ended(6, "No compute instances found: Not Found\n", ""),
        }
    }

    fn gone(&mut self, id: &str) -> ProgramEnd {
        let id = id.parse().unwrap_or(u32::MAX);
        match self.instances.iter().find(|one| one.id == id) {
            Some(one) if one.with_compute || self.is_used(id) => {
                in_use(&format!("GPU instance ID {id:>2}"), "GPU")
            }
            Some(_) => {
                self.instances.retain(|one| one.id != id);
                ended(0, &format!("Successfully destroyed GPU instance ID {id:>2} from GPU  0\n"), "")
            }
            None => ended(6, "No GPU instances found: Not Found\n", ""),
        }
    }
}

fn in_use(what: &str, kind: &str) -> ProgramEnd {
    let text = format!(
        "Unable to destroy {what} from GPU  0: In use by another client\nFailed to destroy {kind} instances: In use \
         by another client\n"
    );
    ended(19, &text, "")
}

fn known(card: &str) -> Option<PciAddress> {
    PciAddress::parse(card).ok()
}
