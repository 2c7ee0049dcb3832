//! Questions about the host: answered from the picture that they share, where it will do, else from a new one.

use std::sync::Arc;
use std::time::Instant;

use gpuvirt_api::List;
use gpuvirt_engine::View;
use gpuvirt_engine::ports::Asker;
use gpuvirt_model::{Desired, Reading, Records, chain};

use super::answer::Failure;
use super::context::Context;
use super::pictures::{Freshness, Picture};

/// How a picture is taken.
struct Look {
    take: fn(&Context) -> Result<Picture, Failure>,
    /// Whether other questions may be answered from it too.
    serves_others: fn(&Picture) -> bool,
}

impl Look {
    /// For somebody's question.
    const ASKED_FOR: Self = Self { take: Context::picture, serves_others: |_| true };
    /// For what nobody asked. Whoever asks for VMs is told of them: a picture without is for this one alone.
    const UNASKED: Self = Self {
        take: |context| context.picture_for(Asker::Nobody),
        serves_others: |picture| picture.view.observed.domains.known().is_some(),
    };
}

impl Context {
    /// Makes a document of a picture: the one that questions share, where it will do, else a new one.
    pub(super) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        freshness: Freshness,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.look_by(Look::ASKED_FOR, freshness, work).await
    }

    /// The same for what asks time and again of itself: it starts no libvirt that somebody stopped.
    pub(super) async fn look_waking_nobody<T: Send + 'static>(
        self: &Arc<Self>,
        freshness: Freshness,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.look_by(Look::UNASKED, freshness, work).await
    }

    async fn look_by<T: Send + 'static>(
        self: &Arc<Self>,
        look: Look,
        freshness: Freshness,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let count = self.hearing.reliable_count();
        let shared =
            count.filter(|_| freshness == Freshness::AsHeard).and_then(|count| self.pictures.at(count));
        if let Some(picture) = shared {
            return work(self, &picture);
        }
        self.read(move |context| {
            let (count, taken) = (context.hearing.reliable_count(), Instant::now());
            let picture = Arc::new((look.take)(context)?);
            context.pictures.seen(&picture);
            if let Some(count) = count.filter(|_| (look.serves_others)(&picture)) {
                context.pictures.keep(&picture, count, taken);
            }
            work(context, &picture)
        })
        .await
    }

    /// A fresh picture. Where our own files can't be understood, the host is shown all the same, and the reason with it.
    pub(super) fn picture(&self) -> Result<Picture, Failure> {
        self.picture_for(Asker::Somebody)
    }

    /// The same for who needs it within a second: what libvirt has not told by then is unknown.
    pub(super) fn picture_soon(&self) -> Result<Picture, Failure> {
        self.picture_for(Asker::InAHurry)
    }

    fn picture_for(&self, asker: Asker) -> Result<Picture, Failure> {
        let error = match self.engine.view_for(asker) {
            Ok(view) => return Ok(Picture::new(view, Vec::new())),
            Err(error) => error,
        };
        let Err(unreadable) = self.outside.store.load() else { return Err(error.into()) };
        let mut observed = self.outside.host.observe()?;
        observed.domains = self.outside.domains.list_for(asker);
        let view = View { observed, desired: Desired::default(), records: Records::default() };
        let problem =
            format!("what is configured is not known, and nothing is changed: {}", chain(&unreadable));
        Ok(Picture::new(view, vec![problem]))
    }

    /// The envelope of a listing.
    pub(super) fn list<T>(&self, kind: &str, picture: &Picture, items: Vec<T>) -> List<T> {
        let observed = &picture.view.observed;
        let mut list = List::new(kind, self.source, items);
        if let Reading::Unknown(why) = &observed.domains {
            list.domains_unknown = Some(why.clone());
        }
        list.oddities.clone_from(&observed.host.oddities);
        list.oddities.extend(picture.problems.iter().cloned());
        list
    }
}
