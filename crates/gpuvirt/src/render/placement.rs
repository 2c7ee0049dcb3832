//! Why a vGPU is placed where it is.

use gpuvirt_api::Choice;

use super::page::Page;

/// The choice, and every GPU that was not chosen.
pub fn choice(choice: &Choice) -> String {
    let mut page = Page::new();
    page.heading(format_args!("placed on {}", choice.gpu));
    page.list("because", &choice.reasons);
    for rejected in &choice.rejected {
        page.field("not", format_args!("{}: {}", rejected.gpu, rejected.because));
    }
    format!("\n{}", page.into_text())
}
