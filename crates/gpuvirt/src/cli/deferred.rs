//! What stands behind a verb on the line: a part of the grammar that is made only when its verb is there.
//!
//! Making the whole grammar, and taking it apart again, was most of what a short verb cost. Whoever shows all of it (manual
//! pages, completions) makes it whole, by [`clap::CommandFactory::command`].

use std::cell::Cell;
use std::ffi::OsString;

use clap::{ArgMatches, Args, Command, CommandFactory, Error, FromArgMatches, Subcommand};

thread_local! {
    static LATER: Cell<bool> = const { Cell::new(false) };
}

/// What the program is called.
pub const PROGRAM: &str = "gpuvirt";

/// The grammar of `T`, whose [`Deferred`] parts are made when a line asks for them.
pub fn grammar<T: CommandFactory>() -> Command {
    LATER.set(true);
    let grammar = T::command();
    LATER.set(false);
    grammar
}

/// A grammar with one verb of it alone, the first that stands on the line. A line that it understands means the same by the
/// whole grammar, which readies all verbs for the options that they share; what it does not understand the whole one is to
/// judge.
pub fn of_one_verb(whole: &Command, line: &[OsString]) -> Option<Command> {
    let verb = line.iter().skip(1).find_map(|word| whole.find_subcommand(word))?;
    let one = Command::new(PROGRAM)
        .args(whole.get_arguments().cloned())
        .groups(whole.get_groups().cloned())
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(verb.clone());
    Some(one)
}

/// The arguments `T` of a verb, made later where [`grammar`] makes the verb.
#[derive(Debug)]
pub struct Deferred<T>(pub T);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(verb: Command) -> Command {
        if LATER.get() { verb.defer(keeping_help::<T>) } else { T::augment_args(verb) }
    }

    fn augment_args_for_update(verb: Command) -> Command {
        T::augment_args_for_update(verb)
    }
}

/// The verb's own help is there before its arguments then, and what is said of `T` would take its place.
fn keeping_help<T: Args>(verb: Command) -> Command {
    let (about, long) = (verb.get_about().cloned(), verb.get_long_about().cloned());
    let made = T::augment_args(verb).about(about.unwrap_or_default());
    match long {
        Some(long) => made.long_about(long),
        None => made.long_about(None),
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// The verbs `T` of a noun.
#[derive(Debug)]
pub struct Verbs<T>(pub T);

impl<T: Subcommand> Args for Verbs<T> {
    fn augment_args(noun: Command) -> Command {
        T::augment_subcommands(noun.subcommand_required(true).arg_required_else_help(true))
    }

    fn augment_args_for_update(noun: Command) -> Command {
        T::augment_subcommands_for_update(noun)
    }
}

impl<T: Subcommand> FromArgMatches for Verbs<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
