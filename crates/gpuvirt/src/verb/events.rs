//! `gpuvirt events`

use gpuvirt_api::event::{Event, EventKind};
use gpuvirt_api::{ErrorKind, Told};

use crate::asker::Asker;
use crate::cli::{EventsArgs, Format};
use crate::failure::Failure;
use crate::output::{self, Answer, document};
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, args: &EventsArgs) -> Result<Answer, Failure> {
    asker.refuse_recording("a recorded host has no events")?;
    if !args.follow {
        let list = asker.question(gpuvirt_api::Client::events).map_err(Failure::of_question)?;
        return document(asker.format(), &list, |list| render::event::lines(&list.items));
    }
    for told in asker.question(|client| client.listen(None)).map_err(Failure::of_question)? {
        let (answer, last) = match told.map_err(Failure::of_question)? {
            Told::Lost => (lost(), false),
            Told::Event(_, event) => (of_event(asker.format(), &event)?, event.kind == EventKind::Stopping),
        };
        let is_read = output::print_more(&answer).map_err(|error| Failure::failed(&error))?;
        if last || !is_read {
            return Ok(Answer::default());
        }
    }
    let text = "gpuvirtd's stream of events ended without a word";
    Err(Failure::new(ErrorKind::Unreachable, text).try_this("journalctl -u gpuvirtd"))
}

/// An event as it comes, one a line where programs read.
fn of_event(format: Format, event: &Event) -> Result<Answer, Failure> {
    let events = std::slice::from_ref(event);
    let out = match format {
        Format::Table => render::event::lines(events),
        Format::Json => json_line(event)?,
        Format::Yaml => document(format, &events, |_| String::new())?.out,
    };
    Ok(Answer { out, ..Answer::default() })
}

fn lost() -> Answer {
    let err = "note: some events were missed; look at everything again\n".to_owned();
    Answer { err, ..Answer::default() }
}

fn json_line(event: &Event) -> Result<String, Failure> {
    let text = serde_json::to_string(event).map_err(|error| Failure::failed(&error))?;
    Ok(render::plain::plain_json(text) + "\n")
}
