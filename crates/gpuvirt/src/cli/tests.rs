//! The grammar itself.

use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("gpuvirt").chain(line.split(' ')))
}

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

/// Every verb's long help states what it changes and ends with an example that the grammar accepts.
#[test]
fn every_verb_has_help_with_an_example() {
    fn walk(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            return command.get_subcommands().for_each(|sub| walk(sub, &path));
        }
        let about = command.get_about().unwrap_or_else(|| panic!("{path} has no help")).to_string();
        assert!(about.contains("Changes "), "{path} does not say what it changes: {about}");
        let long = command.get_long_about().unwrap_or_else(|| panic!("{path} has no long help")).to_string();
        let example = long.lines().find_map(|line| line.strip_prefix("Example: "));
        let example = example.unwrap_or_else(|| panic!("{path} has no example: {long}"));
        // What a shell does with the output is not the grammar's affair.
        let line = example.split(" > ").next().unwrap_or(example);
        let words = line.trim_start_matches("sudo ").split(' ');
        Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{path}: {example}: {error}"));
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
        }
    }
    walk(&Cli::command(), "");
}

/// What is made when a line asks for it is what the whole grammar has there.
#[test]
fn a_deferred_grammar_is_the_whole_one() {
    fn helps(command: &clap::Command, found: &mut Vec<String>) {
        found.push(command.clone().render_long_help().to_string());
        command.get_subcommands().for_each(|verb| helps(verb, found));
    }
    let helps_of = |mut grammar: clap::Command| {
        grammar = grammar.disable_help_subcommand(true);
        grammar.build();
        let mut found = Vec::new();
        helps(&grammar, &mut found);
        found
    };
    let whole = helps_of(Cli::command());
    assert!(whole.len() > 60, "{}", whole.len());
    assert_eq!(helps_of(grammar::<Cli>()), whole);
}

/// Lines that are odd on purpose among them: values that are verbs' names, options on either side.
#[test]
fn a_grammar_of_one_verb_understands_no_line_differently() {
    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        let example = long.lines().find_map(|line| line.strip_prefix("Example: "));
        let line = example.and_then(|example| example.split(" > ").next());
        found.extend(line.map(|line| line.trim_start_matches("sudo ").to_owned()));
        command.get_subcommands().for_each(|verb| examples(verb, found));
    }
    let mut lines = Vec::new();
    examples(&Cli::command(), &mut lines);
    assert!(lines.len() > 50, "{}", lines.len());
    let odd =
        ["gpuvirt --socket gpu gpu list", "gpuvirt -o json gpu -o yaml list", "gpuvirt gpu list --host vm"];
    let mut understood = 0;
    for line in lines.iter().map(String::as_str).chain(odd) {
        let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
        let by = |grammar: clap::Command| {
            let mut matches = grammar.try_get_matches_from(&words).ok()?;
            let cli: Option<Cli> = clap::FromArgMatches::from_arg_matches_mut(&mut matches).ok();
            Some(format!("{:?}", cli?))
        };
        let whole = by(grammar::<Cli>());
        assert!(whole.is_some(), "{line}");
        if let Some(one) = of_one_verb(&grammar::<Cli>(), &words).and_then(by) {
            assert_eq!(Some(one), whole, "{line}");
            understood += 1;
        }
    }
    assert!(understood + 1 >= lines.len(), "{understood} of {} needed no more than one verb", lines.len());
    for line in
        ["gpuvirt gpu", "gpuvirt --version", "gpuvirt help gpu set", "gpuvirt gpu profile list", "gpuvirt"]
    {
        let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
        let one = of_one_verb(&grammar::<Cli>(), &words).map(|grammar| grammar.try_get_matches_from(&words));
        assert!(one.is_none_or(|one| one.is_err()), "{line}");
    }
}

#[test]
fn help_for_a_verb_behind_a_noun_is_found() {
    for line in ["help gpu set", "gpu help set", "gpu set --help", "help capacity", "capacity --help"] {
        let words = std::iter::once("gpuvirt").chain(line.split(' '));
        let error = grammar::<Cli>().try_get_matches_from(words).unwrap_err();
        let text = error.render().to_string();
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp, "{line}: {text}");
        assert!(text.contains("Example: "), "{line}: {text}");
    }
}

#[test]
fn wrong_lines_are_usage_errors() {
    for line in [
        "gpu show 0000:4g:00.0",
        "gpu show ../../etc/passwd",
        "gpu set 41:00.0",
        "gpu set 41:00.0 --type basic",
        "gpu set 41:00.0 --type direct --accept group-not-viable",
        "gpu set 41:00.0 --type direct --label a/b",
        "gpu set 41:00.0 --type direct --wait soon",
        "vgpu create --gpu 41:00.0",
        "vgpu show 41:00",
        "vm add web1",
        "vm add web1 --gpu 41:00.0 --vgpu 7b0a4f6e-2f7b-4e1c-9a53-0c5d6a2f1e88",
        "xml",
        "snapshot",
        "gpu list -o xml",
    ] {
        assert_eq!(parse(line).map(|_| ()).map_err(|error| error.exit_code()), Err(2), "{line}");
    }
}

#[test]
fn vsphere_spellings_are_types_too() {
    for text in ["SharedPassthru", "sharedDirect", "shared-direct"] {
        assert!(parse(&format!("gpu set 41:00.0 --type {text}")).is_ok(), "{text}");
    }
}
