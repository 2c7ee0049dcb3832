//! The kernel as a whole: its state, and what a test can ask of it besides files.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_host::Sysfs;
use gpuvirt_model::PciAddress;
use gpuvirt_recording::{RecordedHost, RecordingError};
use nix::errno::Errno;

use crate::inject::{Fault, On};
use crate::state::{CutCard, InstanceKind, Kernel, LockedCard, Process, Program, SizeRule};
use crate::writes::{Answer, Stop, WriteResult, Written};

/// A live in-memory kernel.
///
/// Shared between threads; every call is one step of the kernel, and no call ever waits.
#[derive(Debug)]
pub struct FakeKernel {
    state: Mutex<Kernel>,
}

impl FakeKernel {
    /// A kernel that starts as another host stands, and lives on by itself. What it does not model is `ENOENT`, and
    /// [`unmodelled`](Self::unmodelled) names it.
    pub fn copy_of(host: &dyn Sysfs) -> Self {
        let kernel = Self { state: Mutex::new(Kernel::default()) };
        kernel.lock().import(host);
        kernel
    }

    /// A kernel that starts from a umockdev dump.
    ///
    /// # Errors
    /// [`RecordingError`] when it is no dump.
    pub fn from_dump(dump: &str) -> Result<Self, RecordingError> {
        Ok(Self::copy_of(&RecordedHost::from_bytes(dump.as_bytes().to_vec())?))
    }

    /// For tests: a write to a path that is not modelled, and one that would wait for ever, panics.
    #[must_use]
    pub fn strict(self) -> Self {
        self.lock().strict = true;
        self
    }

    /// Adds what every live host has and a dump can't hold: a release, interrupts (remapped where the host has an
    /// IOMMU), and the vfio-pci module on disk.
    #[must_use]
    pub fn with_proc(self) -> Self {
        self.lock().add_proc();
        self
    }

    /// A file as it is to be, with the folders above it.
    pub fn set_file(&self, path: &str, content: &str) {
        self.lock().files.put_text(path, content);
    }

    /// Takes away a file, a link or a folder with everything in it.
    pub fn delete(&self, path: &str) {
        self.lock().files.take(path);
    }

    /// Makes a driver known for `modprobe` that matches functions by vendor and device.
    pub fn add_module(&self, name: &str, ids: &[(u16, u16)]) {
        self.lock().drivers.add_loadable(name, ids);
    }

    /// Makes a module unknown to `modprobe`.
    pub fn forget_module(&self, name: &str) {
        self.lock().forget_module(name);
    }

    /// Makes the function's driver offer vGPU types of one shared pool of memory: type folder, name, MiB each.
    pub fn offer_mdev(&self, parent: PciAddress, pool_mib: u64, rule: SizeRule, types: &[(&str, &str, u64)]) {
        self.lock().offer_mdev(parent, (pool_mib, rule), types);
    }

    /// Makes the virtual functions of a card that its `nvidia` driver has take vGPU types, without mediated devices,
    /// of one shared pool of memory: number, name, MiB each. Virtual functions that are made later do too.
    pub fn offer_vgpu_types(
        &self,
        pf: PciAddress,
        pool_mib: u64,
        rule: SizeRule,
        types: &[(u32, &str, u64)],
    ) {
        self.lock().offer_vgpu_types(pf, (pool_mib, rule), types);
    }

    /// Lets a card's sizes be mixed through the vendor's command.
    pub fn allow_mixed_sizes(&self, pf: PciAddress) {
        self.lock().takes_mixed.insert(pf);
    }

    /// Whether a card's sizes are mixed now.
    pub fn mixes_sizes(&self, pf: PciAddress) -> bool {
        self.lock().mixed.get(&pf) == Some(&true)
    }

    /// Takes that away again.
    pub fn forbid_mixed_sizes(&self, pf: PciAddress) {
        self.lock().takes_mixed.remove(&pf);
    }

    /// Makes a card's virtual functions take no vGPU types any more: a driver that is no vGPU host's.
    pub fn forget_vgpu_types(&self, pf: PciAddress) {
        self.lock().typed_cards.retain(|card| !card.is_of(pf));
    }

    /// Gives a card an `unbindLock` of its driver's, which nobody gets while a process has `node` open.
    pub fn add_unbind_lock(&self, card: PciAddress, driver: &str, node: &str) {
        let mut kernel = self.lock();
        kernel.locks.insert(card, LockedCard { driver: driver.to_owned(), node: node.to_owned() });
        kernel.renew_lock(card);
    }

    /// From now on this driver lets a function sleep once it has it, whatever was set before.
    pub fn lets_sleep(&self, driver: &str) {
        self.lock().let_sleep.insert(driver.to_owned());
    }

    /// Installs a program.
    pub fn install(&self, path: &str, program: Program) {
        self.lock().programs.installed.insert(path.to_owned(), program);
    }

    /// Adds a service that runs as this process; a stubborn one does not stop when it is told to.
    pub fn add_service(&self, unit: &str, pid: u32, process: Process, stubborn: bool) {
        self.lock().add_service(unit, (pid, process), stubborn);
    }

    /// Makes a card one that can be cut into GPU instances of these kinds; MIG mode is off.
    pub fn offer_gpu_instances(&self, pf: PciAddress, kinds: &[InstanceKind]) {
        let mut kernel = self.lock();
        kernel.cut_cards.insert(pf, CutCard::new(kinds));
        kernel.renew_vgpu_types(pf);
    }

    /// Starts a process, or replaces the one with its pid.
    pub fn start(&self, process: Process) {
        self.lock().start(process);
    }

    /// Ends a process: its files close, and what waited for them goes on.
    pub fn end(&self, pid: u32) {
        let mut kernel = self.lock();
        kernel.end(pid);
        kernel.go_on();
    }

    /// Has whoever writes panic after the write with this number, counted from 1, programs that are run included: what was
    /// asked for is done, and nobody hears of it.
    pub fn die_after_write(&self, nth: usize) {
        let mut kernel = self.lock();
        kernel.dies_after = Some(kernel.log.len() + nth);
    }

    /// Makes something fail, every time until [`clear_faults`](Self::clear_faults).
    pub fn fail(&self, on: On, errno: Errno) {
        self.inject(on, Fault::Errno(errno));
    }

    /// Makes something go wrong, every time.
    pub fn inject(&self, on: On, fault: Fault) {
        self.lock().faults.add(on, fault, false);
    }

    /// Makes something go wrong, the next time only.
    pub fn inject_once(&self, on: On, fault: Fault) {
        self.lock().faults.add(on, fault, true);
    }

    /// Forgets all failures asked for. What waits goes on waiting.
    pub fn clear_faults(&self) {
        let mut kernel = self.lock();
        kernel.faults.clear();
        kernel.dies_after = None;
    }

    /// Lets every write that an injected [`Fault::Block`] holds go on; its effect happens now. Returns how many
    /// still wait, because a process holds what they need.
    pub fn release(&self) -> usize {
        let mut kernel = self.lock();
        kernel.faults.release();
        kernel.go_on();
        kernel.waiting.len()
    }

    /// The writes that wait in the kernel.
    pub fn waiting(&self) -> Vec<String> {
        self.lock().waiting.iter().map(|write| write.path.clone()).collect()
    }

    /// Every write since the start or the last [`forget_writes`](Self::forget_writes), in order.
    pub fn writes(&self) -> Vec<Written> {
        self.lock().log.clone()
    }

    /// Empties the log of writes.
    pub fn forget_writes(&self) {
        self.lock().log.clear();
    }

    /// What was written to and is not modelled.
    pub fn unmodelled(&self) -> Vec<String> {
        self.lock().unmodelled.iter().cloned().collect()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Kernel> {
        // A panic of a strict kernel in one test thread leaves a state that is whole: every step ends before it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kernel {
    /// Carries out a write: the whole of the kernel's reaction. `Err(Stop::Blocks)` changes nothing.
    pub(crate) fn write(&mut self, path: &str, data: &[u8]) -> Result<(), Stop> {
        let answer = match self.faults.count_write() {
            Some(Fault::Errno(errno)) => Err(Stop::Errno(errno)),
            Some(Fault::Silent) => Err(Stop::Silent),
            Some(Fault::Block) => Err(Stop::Blocks),
            Some(Fault::DoneThenErrno(errno)) => self.dispatch(path, data).and(Err(Stop::Errno(errno))),
            None => self.dispatch(path, data),
        };
        let answer = if answer == Err(Stop::Silent) { Ok(()) } else { answer };
        let result = match answer {
            Ok(()) => WriteResult::Done,
            Err(Stop::Errno(errno)) => WriteResult::Refused(errno),
            Err(Stop::Blocks) => WriteResult::Waits,
            Err(Stop::Unmodelled | Stop::Silent) => WriteResult::Refused(Errno::ENOENT),
        };
        let data = String::from_utf8_lossy(data).into_owned();
        self.log.push(Written { path: path.to_owned(), data, result });
        answer
    }

    /// A failure asked for at this place.
    pub(crate) fn strike(&mut self, on: &On) -> Option<Fault> {
        self.faults.strike(on)
    }

    /// What a test wants to go wrong here: at once, or (the answer inside) when all is done.
    pub(crate) fn struck(&mut self, on: &On) -> Result<Answer, Stop> {
        match self.strike(on) {
            Some(Fault::Errno(errno)) => Err(Stop::Errno(errno)),
            Some(Fault::Silent) => Err(Stop::Silent),
            Some(Fault::Block) => Err(Stop::Blocks),
            Some(Fault::DoneThenErrno(errno)) => Ok(Err(Stop::Errno(errno))),
            None => Ok(Ok(())),
        }
    }

    /// Tries every waiting write again, until none gets on.
    pub(crate) fn go_on(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for write in std::mem::take(&mut self.waiting) {
                let answer = match (&write.mdev, &write.call) {
                    (Some(uuid), _) => self.remove_mdev(uuid, &write.data),
                    (None, Some(call)) => self.run(call).map(|_| ()),
                    (None, None) => self.dispatch(&write.path, &write.data),
                };
                match answer {
                    Err(Stop::Blocks) => self.waiting.push(write),
                    _ => moved = true,
                }
            }
        }
    }
}
