//! `gpuvirt host ...`

use gpuvirt_api::{Client, SetHost};
use gpuvirt_model::{ProfileName, Reservation};

use super::{show_change, show_each};
use crate::asker::Asker;
use crate::cli::{HostCommand, Switch};
use crate::failure::Failure;
use crate::output::Answer;
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &HostCommand) -> Result<Answer, Failure> {
    let request = match command {
        HostCommand::Show => {
            return show_each(asker, &asker.ask(Client::host, |host| Ok(host.host()))?, render::host::show);
        }
        HostCommand::Refresh => return refresh(asker),
        HostCommand::Set(args) => SetHost {
            default_type: args.default_type,
            assignment_policy: args.assignment_policy,
            yes: args.yes,
            ..SetHost::default()
        },
        HostCommand::Maintenance { switch } => {
            SetHost { maintenance: Some(*switch == Switch::On), ..SetHost::default() }
        }
        HostCommand::Reserve { profile, count } => {
            let reservation = Reservation { profile: ProfileName(profile.clone()), count: *count };
            SetHost { reserve: Some(reservation), ..SetHost::default() }
        }
    };
    show_change(asker, &asker.order(|client| client.set_host(&request))?)
}

/// Looks at the host anew.
///
/// # Errors
/// [`Failure`].
pub fn refresh(asker: &Asker) -> Result<Answer, Failure> {
    show_change(asker, &asker.order(Client::refresh_host)?)
}
