//! The oldest compiler that Cargo.toml names has no let chains (`if let ... && ...`), and a newer one says nothing about them.
//! Newer library functions are clippy's to find.

use anyhow::Result;

use crate::tally::Tally;
use crate::tree::Tree;

/// Checks every Rust source file.
pub fn check(tree: &Tree) -> Result<Tally> {
    let mut found = Vec::new();
    for path in tree.files(".rs")? {
        let text = tree.read(&path)?;
        found.extend(let_chains(&text).map(|line| {
            format!(
                "oldest: {path}:{line}: a let chain; Rust 1.88 has them, Cargo.toml promises an older one"
            )
        }));
    }
    Ok(Tally::of_findings(found))
}

/// The lines on which a condition with `let` and `&&` starts. Comments are passed over; a string could be mistaken.
fn let_chains(text: &str) -> impl Iterator<Item = usize> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect();
    (0..code.len()).filter_map(move |at| {
        let rest = code.get(at..)?;
        let start = ["if ", "while "].iter().filter_map(|word| rest.first()?.find(word)).min()?;
        let first = rest.first()?.get(start..)?;
        is_let_chain(std::iter::once(first).chain(rest.iter().skip(1).copied())).then_some(at + 1)
    })
}

/// Whether the condition has `let` and `&&` outside brackets, up to the brace that opens its block.
fn is_let_chain<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let (mut depth, mut has_let, mut has_and) = (0_usize, false, false);
    for line in lines {
        let mut words = String::new();
        for letter in line.chars() {
            match letter {
                '(' | '[' => depth += 1,
                ')' | ']' => depth = depth.saturating_sub(1),
                '{' | ';' if depth == 0 => {
                    return (has_let | words.contains("let ")) & (has_and | words.contains(" && "));
                }
                _ if depth == 0 => words.push(letter),
                _ => {}
            }
        }
        words.push(' ');
        has_let |= words.contains("let ");
        has_and |= words.contains("&& ");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_found() {
        let chains = [
            "IF let Some(a) = b && c {\n}",
            "IF a && let Some(b) = c {\n}",
            "} else IF let Some((a, b)) = c()\n    && let D { e } = f\n{\n}",
            "WHILE let Some(a) = b\n    && a > 1\n{\n}",
        ];
        // In capitals, so that this file does not find itself.
        for text in chains.map(|text| text.replace("IF", "if").replace("WHILE", "while")) {
            assert_eq!(let_chains(&text).collect::<Vec<_>>(), [1], "{text}");
        }
    }

    #[test]
    fn other_conditions_are_not() {
        let plain = [
            "if a && b {\n let c = d;\n}",
            "if let Some(a) = b.filter(|c| c.d && e) {\n}",
            "if let Some(a) = b {\n    if c && d {\n    }\n}",
            "// if let a && b {\nlet a = b && c;",
            "if let Some(a) = b { c && d } else { e }",
        ];
        for text in plain {
            assert_eq!(let_chains(text).collect::<Vec<_>>(), [] as [usize; 0], "{text}");
        }
    }
}
