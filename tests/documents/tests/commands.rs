//! Every `gpuvirt` line that a document, a refusal or a recorded screen tells people to type is one that the command takes.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed expectation is a failed test

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use gpuvirt_command::cli::Cli;
use gpuvirt_documents::{blocks, commands, documents, spans};
use gpuvirt_model::{FindingCode, RefusalCode, WarningCode};

/// What may stand for a word that the reader is to choose: `GPU`, `ID`, `NAME`.
const CHOICES: &[&str] = &[
    "41:00.0",
    "5f8a6d6e-0c2c-4a53-9d3c-0c1c2b6f3a11",
    "1",
    "boot-display",
    "direct",
    "shared-direct",
    "same-size",
    "10de:2235",
    "30s",
    "on",
    "performance",
    "json",
    "name=value",
];

/// The words behind `gpuvirt`, if that is what the command runs.
fn of_gpuvirt(words: &[String]) -> Option<&[String]> {
    let words = match words {
        [built, rest @ ..] if built == "target/debug/gpuvirt" => return Some(rest),
        [lab, exec, dashes, rest @ ..] if lab == "scripts/lab" && exec == "exec" && dashes == "--" => rest,
        [cargo, run, p, package, dashes, rest @ ..]
            if cargo == "cargo" && run == "run" && p == "-p" && dashes == "--" =>
        {
            return (package == "gpuvirt").then_some(rest);
        }
        [sudo, rest @ ..] if sudo == "sudo" => rest,
        words => words,
    };
    words.split_first().filter(|(program, _)| *program == "gpuvirt").map(|(_, rest)| rest)
}

fn parse(words: &[String]) -> Result<(), clap::Error> {
    Cli::try_parse_from(std::iter::once("gpuvirt").chain(words.iter().map(String::as_str))).map(drop)
}

/// What is wrong with a line to paste, which has every argument.
fn wrong_line(words: &[String]) -> Option<String> {
    match parse(words) {
        Ok(()) => unknown_name(words),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => None,
        Err(error) => Some(first_line(&error)),
    }
}

/// What is wrong with a command that running text speaks of: arguments may be missing, or stand for others.
fn wrong_mention(words: &[String]) -> Option<String> {
    let named = words.last().is_some_and(|word| word.starts_with("--"));
    let Some(at) = words.iter().position(|word| is_placeholder(word)) else {
        return match parse(words) {
            Ok(()) => unknown_name(words),
            Err(error) if says_less(error.kind()) => None,
            // An option is spoken of without its value.
            Err(_) if named => wrong_mention(&[words, &["VALUE".to_owned()]].concat()),
            Err(error) => Some(first_line(&error)),
        };
    };
    let mut says = None;
    for choice in CHOICES {
        let mut chosen = words.to_vec();
        *chosen.get_mut(at).unwrap() = (*choice).to_owned();
        says = Some(wrong_mention(&chosen)?);
    }
    says
}

/// Arguments are missing, and those that are there are right.
fn says_less(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
    )
}

fn is_placeholder(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b':'))
}

/// `explain` takes any word.
fn unknown_name(words: &[String]) -> Option<String> {
    let [verb, name, ..] = words else { return None };
    let unknown =
        verb == "explain" && !name.starts_with('-') && !CHOICES.contains(&&**name) && !is_code(name);
    unknown.then(|| format!("no refusal, warning or finding is called {name}"))
}

fn is_code(name: &str) -> bool {
    name.parse::<FindingCode>().is_ok()
        || name.parse::<RefusalCode>().is_ok()
        || name.parse::<WarningCode>().is_ok()
}

fn first_line(error: &clap::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Running text as a command: what may be left out is, and of alternatives the first one is taken.
fn plain(text: &str) -> String {
    let text = text.split([']', '[']).step_by(2).collect::<Vec<_>>().join(" ");
    // Where another option may stand instead, what follows is that one's.
    let text = text.split("|-").next().unwrap_or_default();
    let words = text.split_whitespace().filter(|word| !word.contains("..."));
    words.map(|word| word.split('|').next().unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

/// A verb of the command's, so that `vm add` in running text is known for what it is.
fn is_verb(words: &[String]) -> bool {
    let [group, verb, ..] = words else { return false };
    // `esxcli graphics host get` has a word in common with ours.
    if group == "host" && verb == "get" {
        return false;
    }
    let command = Cli::command();
    let group = command.get_subcommands().find(|sub| sub.get_name() == group && sub.has_subcommands());
    group.is_some() && verb.bytes().all(|b| b.is_ascii_lowercase())
}

#[test]
fn what_is_to_be_pasted_is_whole() {
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        for block in blocks(&document.text) {
            let prompt = |line: &'_ str| line.trim_start().trim_start_matches("root@lab:~").to_owned();
            let lines: Vec<String> = match &*block.language {
                "sh" => block.typed().map(str::to_owned).collect(),
                "console" => block
                    .lines
                    .iter()
                    .filter_map(|l| prompt(l).strip_prefix("# ").map(str::to_owned))
                    .collect(),
                _ => continue,
            };
            for line in lines {
                for command in commands(&line) {
                    let Some(words) = of_gpuvirt(&command) else { continue };
                    looked_at += 1;
                    let says = wrong_line(words);
                    wrong
                        .extend(says.map(|says| format!("{} {}: {line}: {says}", document.name, block.line)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at > 80, "{looked_at}");
}

#[test]
fn blocks_of_commands_say_that_they_are() {
    for document in documents() {
        for block in blocks(&document.text).into_iter().filter(|block| block.language.is_empty()) {
            let first = block.lines.first().map(|line| line.trim()).unwrap_or_default();
            let typed = ["gpuvirt ", "virsh ", "systemctl ", "scripts/", "# gpuvirt "];
            let looks_so = typed.iter().any(|start| first.starts_with(start));
            assert!(!looks_so, "{} {}: say ```sh or ```console", document.name, block.line);
        }
    }
}

#[test]
fn what_running_text_speaks_of_exists() {
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        for span in spans(&document.text) {
            for command in commands(&plain(&span.text)) {
                let words = match of_gpuvirt(&command) {
                    Some(words) => words,
                    None if is_verb(&command) => &command,
                    None => continue,
                };
                looked_at += 1;
                let says = wrong_mention(words);
                wrong.extend(
                    says.map(|says| format!("{} {}: `{}`: {says}", document.name, span.line, span.text)),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at > 300, "{looked_at}");
}

#[test]
fn what_a_refusal_tells_to_try_is_whole() {
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (file, text) in screens() {
        let remedies = text.lines().filter_map(|line| line.trim_start().strip_prefix("try "));
        for remedy in remedies.filter(|remedy| remedy.trim_start().starts_with("gpuvirt ")) {
            // A sentence may go on behind the command.
            let remedy = remedy.split(", ").next().unwrap_or(remedy);
            for command in commands(&plain(remedy)) {
                let Some(words) = of_gpuvirt(&command) else { continue };
                looked_at += 1;
                wrong.extend(wrong_mention(words).map(|says| format!("{file}: {remedy}: {says}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at > 30, "{looked_at}");
}

/// What the command printed, as the golden cases keep it.
fn screens() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/cli");
    let cases =
        std::fs::read_dir(root).unwrap().flatten().filter_map(|case| std::fs::read_dir(case.path()).ok());
    let files = cases.flat_map(Iterator::flatten).map(|file| file.path());
    files
        .filter_map(|path| Some((path.display().to_string(), std::fs::read_to_string(&path).ok()?)))
        .collect()
}

#[test]
fn what_is_no_command_is_seen() {
    let split = |line: &str| commands(line).concat();
    for (line, right) in [
        ("gpu set 41:00.0 --type direct", true),
        ("gpu set 41:00.0 --type direct everything that is in the way", false),
        ("gpu put 41:00.0", false),
        ("explain group-not-viable", true),
        ("explain group-not-vible", false),
    ] {
        assert_eq!(wrong_line(&split(line)).is_none(), right, "{line}");
    }
    for (text, right) in [
        ("gpu set GPU --type shared|direct", true),
        ("gpu set --accept NAME", true),
        ("gpu set GPU --kind direct", false),
        ("vm add VM [--count N] ...", true),
        ("vm attach", false),
    ] {
        assert_eq!(wrong_mention(&split(&plain(text))).is_none(), right, "{text}");
    }
}
