//! What stands behind a verb on the line: a part of the grammar that is made only when its verb is there.
//!
//! Making the whole grammar, and taking it apart again, was most of what a short verb cost.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

/// The arguments `T` of a verb of an enum that is `defer`red: the verb keeps its own help, whatever is said of `T`.
#[derive(Debug)]
pub struct Deferred<T>(pub T);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(verb: Command) -> Command {
        keeping_help(verb, T::augment_args)
    }

    fn augment_args_for_update(verb: Command) -> Command {
        keeping_help(verb, T::augment_args_for_update)
    }
}

fn keeping_help(verb: Command, augment: fn(Command) -> Command) -> Command {
    let (about, long) = (verb.get_about().cloned(), verb.get_long_about().cloned());
    let made = augment(verb).about(about.unwrap_or_default());
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
