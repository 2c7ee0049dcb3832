//! `tests/e2e/findings/provocations.toml`: which findings the lab's real kernel is brought to, and why not to the others.

use gpuvirt_model::FindingCode;

/// What it says of one finding.
pub enum Said {
    /// How it is brought about.
    Provoked(String),
    /// What the lab lacks.
    Beyond(String),
}

/// All that it says, in its order.
pub fn all() -> Vec<(FindingCode, Said)> {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/findings/provocations.toml");
    let table: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let list = |name: &str| table[name].as_array().unwrap().clone();
    let text = |entry: &toml::Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let code = |entry: &toml::Value| {
        let name = text(entry, "code");
        name.parse::<FindingCode>().unwrap_or_else(|_| panic!("{name} is no finding"))
    };
    let provoked = list("provoked").into_iter().map(|entry| {
        assert!(
            entry.get("stage").is_some() != entry.get("words").is_some(),
            "{entry}: on a stage, or at boot"
        );
        (code(&entry), Said::Provoked(text(&entry, "by")))
    });
    let beyond = list("beyond").into_iter().map(|entry| (code(&entry), Said::Beyond(text(&entry, "why"))));
    provoked.chain(beyond).collect()
}

/// The table of docs/doctor.md.
pub fn markdown() -> String {
    let row = |(code, said): (FindingCode, Said)| match said {
        Said::Provoked(by) => format!("| `{code}` | {by} | |\n"),
        Said::Beyond(why) => format!("| `{code}` | | {why} |\n"),
    };
    let rows: String = all().into_iter().map(row).collect();
    format!("| finding | provoked in the lab by | not in the lab: it |\n|---|---|---|\n{rows}")
}
