//! `/v1/doctor`: what keeps GPUs from working in VMs, from all that the daemon can see. `/v1/testimony`: what of that no file
//! shows, so that a snapshot can show it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gpuvirt_api::{DoctorDocument, TestimonyDocument};
use gpuvirt_engine::View;
use gpuvirt_model::health::{DaemonHealth, Health, LibvirtHealth, LibvirtVersions};
use gpuvirt_model::{Domain, Hostdev, Machine, PciAddress, Reading, Testimony, Unknown, VgpuId};
use gpuvirt_plan::diagnose::{self, Case};

use super::answer::Failure;
use super::context::{Context, Patience};
use super::gpu;
use super::input::{Nothing, OfGpu, Params, selector};
use super::pictures::Picture;
use gpuvirt_model::chain;

/// `GET /v1/doctor[?gpu=]`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    Params(of): Params<OfGpu>,
) -> Result<Json<DoctorDocument>, Failure> {
    let only = of.gpu.as_deref().map(selector).transpose()?;
    let read = move |context: &Context| {
        let before = context.engine.changing();
        let (picture, health, libvirt) = looked_at(context)?;
        let view = &picture.view;
        let daemon = daemon(context, &picture, &before);
        let case = Case {
            health: &health,
            observed: &view.observed,
            desired: &view.desired,
            records: &view.records,
            libvirt: &libvirt,
            daemon: &daemon,
        };
        let diagnosis = match &only {
            None => diagnose::diagnose(&case),
            Some(only) => diagnose::about(gpu::find(only, &picture)?.address, &case),
        };
        let domains_unknown = match &view.observed.domains {
            Reading::Known(_) => None,
            Reading::Unknown(why) => Some(why.clone()),
        };
        Ok(DoctorDocument::new(context.source, domains_unknown, diagnosis))
    };
    context.read(read).await.map(Json)
}

/// `GET /v1/testimony`
pub(super) async fn testimony(
    State(context): State<Arc<Context>>,
    _: Params<Nothing>,
) -> Result<Json<TestimonyDocument>, Failure> {
    let read = |context: &Context| {
        let before = context.engine.changing();
        let picture = context.picture()?;
        let versions = versions(context, Patience::Usual);
        let libvirt = libvirt(context, &picture, versions, Patience::Usual);
        let daemon = daemon(context, &picture, &before);
        let Health { memory, security, .. } = context.outside.host.health(&picture.view.observed);
        let (lockers, virtqemud_confined) = (memory.lockers.value, security.virtqemud_confined.value);
        let Picture { view, problems, .. } = picture;
        let View { observed, desired, records } = view;
        let testimony = Testimony {
            desired,
            records,
            problems,
            libvirt,
            daemon,
            lockers,
            virtqemud_confined,
            ..Testimony::default()
        };
        Ok(TestimonyDocument::new(testimony.of(&observed)))
    };
    context.read(read).await.map(Json)
}

/// A fresh look at everything. libvirt is asked while the host is read: it takes as long, and a doctor has no more than a second.
fn looked_at(context: &Context) -> Result<(Picture, Health, LibvirtHealth), Failure> {
    let short = Patience::Short;
    let (versions, picture) = beside(|| versions(context, short), || context.picture_soon())?;
    let picture = picture?;
    let (libvirt, health) = beside(
        || libvirt(context, &picture, versions, short),
        || context.outside.host.health(&picture.view.observed),
    )?;
    Ok((picture, health, libvirt))
}

/// Both at once: the first on a thread of its own.
fn beside<A: Send, B>(other: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> Result<(A, B), Failure> {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let here = here();
        // The panic's message and place are on stderr already.
        other.join().map(|other| (other, here)).map_err(|_| Failure::bug())
    })
}

/// libvirt's address, and the versions of its daemon and of its QEMU.
type Versions = (Option<String>, Reading<LibvirtVersions>);

fn versions(context: &Context, patience: Patience) -> Versions {
    context.outside.definitions.libvirt(patience)
}

/// libvirt's versions, and the machines of the VMs that GPUs are a matter of.
fn libvirt(
    context: &Context,
    picture: &Picture,
    (uri, versions): Versions,
    patience: Patience,
) -> LibvirtHealth {
    let machines = match &picture.view.observed.domains {
        Reading::Known(domains) => machines(context, domains, patience),
        Reading::Unknown(why) => Reading::Unknown(why.clone()),
    };
    // Nobody knows then whether it hangs or only starts a VM, while which it lists none.
    let owes_answer = context.outside.definitions.owes_answer(patience);
    LibvirtHealth { uri, versions, machines, owes_answer }
}

/// The machines of those domains that have or ask for a device of the host; all unknown when libvirt stops answering.
fn machines(context: &Context, domains: &[Domain], patience: Patience) -> Reading<Vec<Machine>> {
    let concerned = domains.iter().filter(|domain| {
        !(domain.config.is_empty() && domain.live.is_empty() && domain.requests.list.is_empty())
    });
    let mut machines = Vec::new();
    for domain in concerned {
        let xml = match context.outside.definitions.listed_xml(&domain.name, patience) {
            Ok(xml) => xml,
            Err(error) => return Reading::Unknown(Unknown::Unreadable { what: chain(&error) }),
        };
        // A definition that is gone, or that nobody understands, is said of by the listing itself.
        machines.extend(xml.and_then(|xml| gpuvirt_domain::machine(&xml).ok()));
    }
    Reading::Known(machines)
}

/// VMs that run with a device of a managed GPU: the hook calls for no others.
fn with_ours(view: &View) -> impl Iterator<Item = &Domain> {
    let managed = |device: &Hostdev| {
        let gpu = match device {
            Hostdev::Pci { address, .. } => view.observed.gpu_of(*address).map(|gpu| gpu.address),
            Hostdev::Mdev { uuid } => view.observed.vgpus.get(&VgpuId::Mdev(*uuid)).map(|vgpu| vgpu.gpu),
        };
        gpu.is_some_and(|gpu| view.desired.gpu(gpu).is_some())
    };
    let running = view.observed.domains.known().into_iter().flatten();
    running.filter(move |domain| domain.live.iter().any(managed))
}

/// Those of them that started without a call of our hook's.
fn unhooked(context: &Context, view: &View) -> Vec<String> {
    let started = context.hook_watch.without();
    let concerned = with_ours(view).filter(|domain| started.contains(&domain.name));
    concerned.map(|domain| domain.name.clone()).collect()
}

/// Whether libvirt is known to run the hook, and the hook to reach us: it called, or a VM with a device of ours runs since before
/// we came. While no GPU is managed nobody calls; then a start shows that libvirt may run it, where it knows of it.
fn hook_proven(context: &Context, view: &View) -> bool {
    let watch = &context.hook_watch;
    let without = watch.without();
    watch.was_heard()
        || with_ours(view).any(|domain| !without.contains(&domain.name))
        || (view.desired.gpus.is_empty() && watch.saw_a_start())
}

/// What the daemon knows of itself. `before`: the GPUs that changes were at when the picture was begun.
fn daemon(context: &Context, picture: &Picture, before: &BTreeSet<PciAddress>) -> DaemonHealth {
    let (store, view) = (&context.outside.store, &picture.view);
    let intents = store.open_intents();
    let changing = before | &context.engine.changing();
    let (unsettled, unreadable) = match intents {
        // A change that is under way has its journal open too: that is no failure of it.
        Ok(intents) => {
            let open = intents.into_iter().filter(|plan| !changing.contains(&plan.gpu));
            (open.map(|plan| (plan.gpu, plan.purpose)).collect(), None)
        }
        Err(error) => (Vec::new(), Some(chain(&error))),
    };
    let problems = picture.problems.iter().cloned().chain(store.problems()).chain(unreadable);
    DaemonHealth {
        unanswered: None,
        stale_boot_image: store.stale_boot_image(),
        problems: problems.collect(),
        unsettled,
        unhooked: unhooked(context, view),
        hook_proven: Some(hook_proven(context, view)),
        no_writer: context.outside.host.writers().err().map(|why| chain(&why)),
        at_work: (&changing | &context.restored.to_come()).into_iter().collect(),
        unrestored: context.restored.in_trouble(),
    }
}
