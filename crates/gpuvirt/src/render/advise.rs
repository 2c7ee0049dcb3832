//! Advice, and both modes side by side.

use gpuvirt_plan::advise::aspect::ASPECTS;
use gpuvirt_plan::advise::{Makes, ModeAdvice, Workload};

use super::page::Page;
use crate::advice::{AdviceDocument, CardDocument};

/// The recommendation with its reasons, the commands, and what was judged.
pub fn advice(document: &AdviceDocument) -> String {
    let (advice, question) = (&document.advice, &document.question);
    let mut page = Page::new();
    let asked = question.workload.map_or("no workload named", Workload::text);
    let vms = if question.vms == 1 {
        "one VM at a time".to_owned()
    } else {
        format!("{} VMs at once", question.vms)
    };
    page.line(format_args!("for: {asked}; {vms}"));
    match advice.recommendation.mode() {
        Some(mode) => page.line(format_args!("recommended: {}", mode.text())),
        None => page.line("recommended: nothing"),
    }
    advice.because.iter().for_each(|text| page.line(format_args!("  because  {text}")));
    if !advice.steps.is_empty() {
        page.heading("to get there");
        advice.steps.iter().for_each(|step| page.line(format_args!("  {step}")));
    }
    page.heading("GPUs");
    document.gpus.iter().for_each(|gpu| card(&mut page, gpu));
    if document.gpus.is_empty() {
        page.line("  none");
    }
    advice.modes.iter().for_each(|found| mode(&mut page, found));
    for (name, lines) in [("to be known", &advice.notes), ("not known from here", &advice.unknown)] {
        if !lines.is_empty() {
            page.heading(name);
            lines.iter().for_each(|line| page.line(format_args!("  {line}")));
        }
    }
    if question.workload.is_none() {
        page.heading("workloads to name with --workload");
        for workload in Workload::ALL {
            let word = serde_json::to_value(workload).ok();
            let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
            page.field(word, workload.text());
        }
    }
    page.into_text()
}

fn card(page: &mut Page, gpu: &CardDocument) {
    page.line(format_args!("  {}  {}", gpu.address, gpu.name));
    if gpu.passthrough_obstacles.is_empty() {
        let accept: String =
            gpu.passthrough_to_accept.iter().map(|code| format!(", with --accept {code}")).collect();
        page.line(format_args!("    passthrough: can be{accept}"));
    }
    for why in &gpu.passthrough_obstacles {
        page.line(format_args!("    passthrough: no: {why}"));
    }
    match &gpu.vgpus {
        Makes::Now => page.line("    vGPUs: its driver makes them"),
        Makes::With(what) => page.line(format_args!("    vGPUs: with {what}")),
        Makes::Never(why) => page.line(format_args!("    vGPUs: no: {why}")),
        Makes::Unknown(why) => page.line(format_args!("    vGPUs: can't tell: {why}")),
    }
}

fn mode(page: &mut Page, found: &ModeAdvice) {
    page.heading(format_args!(
        "{}: {}",
        found.mode.text(),
        if found.possible { "possible" } else { "ruled out" }
    ));
    for (word, lines) in
        [("for it", &found.reasons), ("against it", &found.obstacles), ("mind", &found.provisos)]
    {
        page.list(word, lines);
    }
}

/// The table of docs/choosing.md.
pub fn markdown() -> String {
    let mut page = Page::new();
    page.line("| | passthrough | vGPU | source |");
    page.line("|---|---|---|---|");
    for aspect in ASPECTS {
        page.line(format_args!(
            "| {} | {} | {} | {} |",
            aspect.name, aspect.passthrough, aspect.vgpu, aspect.source
        ));
    }
    page.into_text()
}
