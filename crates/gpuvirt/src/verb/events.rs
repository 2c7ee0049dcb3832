//! `gpuvirt events`

use gpuvirt_api::event::{Event, EventKind, EventList};

use crate::asker::Asker;
use crate::cli::{EventsArgs, Format};
use crate::failure::Failure;
use crate::output::{self, Answer, document};
use crate::render;

/// How long one question waits for an event. A longer life of the connection would take a place from others.
const WAIT_SECONDS: u64 = 50;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, args: &EventsArgs) -> Result<Answer, Failure> {
    asker.refuse_recording("a recorded host has no events")?;
    let mut list = asker.client().events(0, 0).map_err(Failure::of_question)?;
    if !args.follow {
        return document(asker.format(), &list, |list| render::event::lines(&list.items));
    }
    loop {
        let ends = list.items.iter().any(|event| event.kind == EventKind::Stopping);
        print(asker.format(), &list)?;
        if ends {
            return Ok(Answer::default());
        }
        list = asker.client().events(list.last, WAIT_SECONDS).map_err(Failure::of_question)?;
    }
}

/// Events as they come, one a line where programs read.
fn print(format: Format, list: &EventList) -> Result<(), Failure> {
    let mut answer = Answer::default();
    if list.lost {
        answer.err = "note: some events were missed; look at everything again\n".to_owned();
    }
    answer.out = match format {
        Format::Table => render::event::lines(&list.items),
        Format::Json => list.items.iter().map(json_line).collect::<Result<_, _>>()?,
        Format::Yaml => document(format, &list.items, |_| String::new())?.out,
    };
    output::print(&answer).map_err(|error| Failure::failed(&error))
}

fn json_line(event: &Event) -> Result<String, Failure> {
    let text = serde_json::to_string(event).map_err(|error| Failure::failed(&error))?;
    Ok(render::plain::plain_json(text) + "\n")
}
