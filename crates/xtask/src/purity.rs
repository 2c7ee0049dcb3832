//! The pure crates stay pure: no files, processes, network, clock or randomness in model, plan and domain.

use anyhow::Result;

use crate::sizes::production_lines;
use crate::tally::Tally;
use crate::tree::Tree;

const PURE: &[&str] =
    &["crates/gpuvirt-model/src/", "crates/gpuvirt-plan/src/", "crates/gpuvirt-domain/src/"];

const EFFECTS: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::os",
    "SystemTime::now",
    "Instant::now",
    "new_v4",
    "println!",
];

/// Checks the production part of every source file of the pure crates.
pub fn check(tree: &Tree) -> Result<Tally> {
    let mut found = Vec::new();
    for path in tree.files(".rs")?.iter().filter(|path| PURE.iter().any(|pure| path.starts_with(pure))) {
        found.extend(findings(path, &tree.read(path)?));
    }
    Ok(Tally::of_findings(found))
}

fn findings(path: &str, text: &str) -> Vec<String> {
    let code =
        production_lines(path, text).enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter_map(|(number, line)| {
        let effect = EFFECTS.iter().find(|effect| line.contains(**effect))?;
        Some(format!(
            "purity: {path}:{}: {effect} in a crate that only computes; pass the value in",
            number + 1
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_found_outside_comments_and_tests() {
        let text = "// std::fs is for others\nlet now = SystemTime::now();\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}\n";
        let found = findings("crates/gpuvirt-plan/src/x.rs", text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("x.rs:2: SystemTime::now"), "{found:?}");
    }
}
