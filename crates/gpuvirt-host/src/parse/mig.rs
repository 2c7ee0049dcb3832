//! What the vendor's command says about a card's GPU instances (`nvidia-smi mig ...`, NVIDIA's Multi-Instance GPU
//! User Guide).
//!
//! Its tables are for people and have changed their columns: rows are told by the word `MIG` and their fields by form
//! (`7/7` counts, `4:2` places, `4.75` memory). A row that is not understood is an error, never a missing instance.

use gpuvirt_model::mig::{is_profile_name, slices_of};
use gpuvirt_model::{GpuInstance, GpuInstanceProfile, MigPlacement};

/// The longest list of places and the most rows that are believed.
const MANY: usize = 4096;

/// A text of the vendor's command that is not as we know it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the vendor's command answered {line:?}, where {expected} was expected")]
pub struct NotUnderstood {
    /// The line, shortened.
    pub line: String,
    /// What should have stood there.
    pub expected: &'static str,
}

impl NotUnderstood {
    fn new(line: &str, expected: &'static str) -> Self {
        Self { line: line.trim().chars().take(120).collect(), expected }
    }
}

/// Whether a card can be cut, and whether it can be now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigMode {
    /// It can at all.
    pub supported: bool,
    /// MIG mode is on.
    pub enabled: bool,
    /// What the mode becomes at the next reset, where that is something else.
    pub pending: Option<bool>,
}

/// `--query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader`: `Enabled, Enabled`, or `[N/A], [N/A]` where
/// the card knows no such mode.
///
/// # Errors
/// [`NotUnderstood`].
pub fn mode(text: &str) -> Result<MigMode, NotUnderstood> {
    const EXPECTED: &str = "one line of two MIG modes";
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let line = lines.next().unwrap_or_default();
    let (current, pending) = line.split_once(',').ok_or_else(|| NotUnderstood::new(line, EXPECTED))?;
    let read = |word: &str| match word.trim() {
        "Enabled" => Ok(Some(true)),
        "Disabled" => Ok(Some(false)),
        "[N/A]" | "N/A" | "[Not Supported]" => Ok(None),
        _ => Err(NotUnderstood::new(line, EXPECTED)),
    };
    let (current, pending) = (read(current)?, read(pending)?);
    if let Some(more) = lines.next() {
        return Err(NotUnderstood::new(more, "nothing more"));
    }
    let enabled = current.unwrap_or(false);
    Ok(MigMode { supported: current.is_some(), enabled, pending: pending.filter(|next| *next != enabled) })
}

/// Whether the answer is that there is nothing to list: the command then fails, though nothing is wrong.
pub fn is_none_found(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next().is_some_and(|line| {
        let what = line.strip_prefix("No ").and_then(|rest| rest.split_once(" found"));
        what.is_some_and(|(what, _)| {
            ["GPU instance", "compute instance", "MIG-enabled device", "MIG-supported device"]
                .iter()
                .any(|known| what.starts_with(known))
        })
    })
}

/// `mig -lgip`: the profiles of one card. The second line of each row, with its media engines, says nothing to us.
///
/// # Errors
/// [`NotUnderstood`].
pub fn profiles(text: &str) -> Result<Vec<GpuInstanceProfile>, NotUnderstood> {
    const EXPECTED: &str = "a GPU instance profile with its number and free/total";
    let read = |row: Row| {
        let bad = || NotUnderstood::new(row.line, EXPECTED);
        let (free, total) = row.fields.iter().find_map(|field| pair(field, '/')).ok_or_else(bad)?;
        let id = row.fields.first().and_then(|field| number(field)).ok_or_else(bad)?;
        let memory = row.fields.iter().filter(|field| field.contains('.')).find_map(|field| gib(field));
        Ok(GpuInstanceProfile {
            name: row.name.to_owned(),
            id,
            slices: slices_of(row.name),
            memory_mib: memory,
            free,
            total,
            placements: Vec::new(),
        })
    };
    rows(text, EXPECTED)?.into_iter().map(read).collect()
}

/// `mig -lgi`: the GPU instances of one card.
///
/// # Errors
/// [`NotUnderstood`].
pub fn instances(text: &str) -> Result<Vec<GpuInstance>, NotUnderstood> {
    const EXPECTED: &str = "a GPU instance with its profile's number and its own";
    let read = |row: Row| {
        let bad = || NotUnderstood::new(row.line, EXPECTED);
        let mut numbers = row.fields.iter().map_while(|field| number(field));
        let (profile_id, id) = (numbers.next().ok_or_else(bad)?, numbers.next().ok_or_else(bad)?);
        let place = row.fields.iter().find_map(|field| pair(field, ':'));
        Ok(GpuInstance {
            id,
            profile: row.name.to_owned(),
            profile_id,
            placement: place.map(|(start, size)| MigPlacement { start, size }),
            compute_instances: None,
        })
    };
    let mut found: Vec<GpuInstance> =
        rows(text, EXPECTED)?.into_iter().map(read).collect::<Result<_, _>>()?;
    found.sort_by_key(|instance| (instance.placement, instance.id));
    Ok(found)
}

/// `mig -cgi`: the number of the GPU instance that was made, `Successfully created GPU instance ID  5 on GPU  0 ...`.
/// None where it says so in other words.
pub fn created(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("created GPU instance ID")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// `mig -lci`: compute instances, each as its GPU instance's number and its own.
///
/// # Errors
/// [`NotUnderstood`].
pub fn compute_instances(text: &str) -> Result<Vec<(u32, u32)>, NotUnderstood> {
    const EXPECTED: &str = "a compute instance with its GPU instance's number, its profile's and its own";
    let read = |row: Row| {
        let bad = || NotUnderstood::new(row.line, EXPECTED);
        // Before the name stand the card's number and the GPU instance's.
        let parent = row.before.get(1).copied().ok_or_else(bad)?;
        let own = row.fields.get(1).and_then(|field| number(field)).ok_or_else(bad)?;
        Ok((parent, own))
    };
    rows(text, EXPECTED)?.into_iter().map(read).collect()
}

/// `mig -lgipp`: where each profile can be, by its number:
/// `GPU  0 Profile ID 19 Placements: {0,1,2,3,4,5,6}:1`.
///
/// # Errors
/// [`NotUnderstood`].
pub fn placements(text: &str) -> Result<Vec<(u32, Vec<MigPlacement>)>, NotUnderstood> {
    const EXPECTED: &str = "a profile's number and its places";
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.contains("Profile ID")).take(MANY) {
        let bad = || NotUnderstood::new(line, EXPECTED);
        let (_, rest) = line.split_once("Profile ID").ok_or_else(bad)?;
        let id = rest.split_whitespace().next().and_then(number).ok_or_else(bad)?;
        let (_, rest) = rest.split_once('{').ok_or_else(bad)?;
        let (starts, rest) = rest.split_once('}').ok_or_else(bad)?;
        let size = rest.trim().strip_prefix(':').and_then(|size| number(size.trim())).ok_or_else(bad)?;
        let starts = starts.split(',').map(str::trim).filter(|start| !start.is_empty());
        let places = starts.take(MANY).map(|start| number(start).map(|start| MigPlacement { start, size }));
        found.push((id, places.collect::<Option<_>>().ok_or_else(bad)?));
    }
    if found.is_empty() {
        return Err(NotUnderstood::new(text.lines().next().unwrap_or_default(), EXPECTED));
    }
    Ok(found)
}

/// A row of a table: what stands before the word `MIG`, the name after it, and the fields that follow.
struct Row<'a> {
    line: &'a str,
    before: Vec<u32>,
    name: &'a str,
    fields: Vec<&'a str>,
}

/// The rows of a table about one card: at least one.
fn rows<'a>(text: &'a str, expected: &'static str) -> Result<Vec<Row<'a>>, NotUnderstood> {
    let mut found: Vec<Row<'a>> = Vec::new();
    for line in text.lines().filter(|line| line.split_whitespace().any(|word| word == "MIG")).take(MANY) {
        let words = line.split_whitespace().filter(|word| *word != "|").map(|word| word.trim_matches('|'));
        let mut words = words.filter(|word| !word.is_empty());
        let before: Vec<&str> = words.by_ref().take_while(|word| *word != "MIG").collect();
        let before: Option<Vec<u32>> = before.into_iter().map(number).collect();
        let name = words.next().filter(|name| is_profile_name(name));
        let (Some(before), Some(name)) = (before, name) else {
            return Err(NotUnderstood::new(line, expected));
        };
        let row = Row { line, before, name, fields: words.collect() };
        let other_card = found.first().is_some_and(|first| first.before.first() != row.before.first());
        if row.before.is_empty() || other_card {
            return Err(NotUnderstood::new(line, "rows of one card"));
        }
        found.push(row);
    }
    // An empty list would be a claim; the command makes it in words.
    match found.as_slice() {
        [] => Err(NotUnderstood::new(text.lines().next().unwrap_or_default(), expected)),
        _ => Ok(found),
    }
}

/// A number; an asterisk marks defaults in some tables.
fn number(word: &str) -> Option<u32> {
    let digits = word.strip_suffix('*').unwrap_or(word);
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn pair(word: &str, between: char) -> Option<(u32, u32)> {
    let (one, other) = word.split_once(between)?;
    Some((number(one)?, number(other)?))
}

/// GiB with decimals, in MiB.
fn gib(word: &str) -> Option<u64> {
    let (whole, part) = word.split_once('.')?;
    let digits = |text: &str| (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let (scale, part): (u64, u64) = (10_u64.pow(u32::try_from(part.len()).ok()?), part.parse().ok()?);
    Some(whole.parse::<u64>().ok()? * 1024 + part * 1024 / scale)
}

#[cfg(test)]
mod tests;
