//! Memory of loaded files that nobody needs now: it is given back while the daemon sleeps.
//!
//! libvirt's library brings some sixty others along, for transports that are never used here. Loading them reads all of
//! their relocations and symbols, and the kernel maps sixteen pages around each one that is touched: a program that does
//! nothing but connect keeps 15 MiB of files mapped for as long as it lives. What is given back stays in the page cache,
//! where other programs share it, and comes back by itself when it is touched again.

#![allow(unsafe_code)] // the loader's list, and one system call without a safe form

use std::ffi::{c_int, c_void};

use nix::libc;

/// Gives back the pages of every loaded file that can't be written to; how many bytes were asked about.
///
/// It costs about as long as it takes to read `/proc/self/maps`, and whoever works next takes a few hundred page faults.
pub fn give_back() -> usize {
    let mut asked: usize = 0;
    // SAFETY: the callback has the type that dl_iterate_phdr(3) asks for, and gets a pointer to a number that lives longer
    // than the call.
    unsafe { libc::dl_iterate_phdr(Some(of_object), (&raw mut asked).cast::<c_void>()) };
    // SAFETY: it takes no pointer; memory that is in use stays as it is (malloc_trim(3)).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    asked
}

/// Called under the loader's lock: no object comes or goes meanwhile, so that an address can't become somebody else's.
unsafe extern "C" fn of_object(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    asked: *mut c_void,
) -> c_int {
    // SAFETY: the loader passes an object that lives for the call, and what was given to dl_iterate_phdr.
    let (object, asked) = unsafe { (&*object, &mut *asked.cast::<usize>()) };
    if object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the object has so many headers there.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    if has_text_relocations(object.dlpi_addr, headers) {
        return 0;
    }
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let writable = header.p_flags & libc::PF_W != 0;
        let Some((start, length)) = pages(object.dlpi_addr, header).filter(|_| !writable) else { continue };
        // SAFETY: a segment without PF_W is mapped from its file and was never written to, so that the kernel reads the same
        // bytes when they are touched again. Where the range is something else after all (the kernel's own object), the call
        // fails, or the pages are made anew.
        if unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED) } == 0 {
            *asked = asked.saturating_add(length);
        }
    }
    0
}

/// Whether the loader wrote into segments that can't be written to any more: those bytes are in no file.
fn has_text_relocations(base: u64, headers: &[libc::Elf64_Phdr]) -> bool {
    const DT_NULL: u64 = 0;
    const DT_TEXTREL: u64 = 22;
    const DT_FLAGS: u64 = 30;
    const DF_TEXTREL: u64 = 4;
    let Some(dynamic) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) else { return false };
    let count = usize::try_from(dynamic.p_memsz).unwrap_or(0) / size_of::<[u64; 2]>();
    let start = base.wrapping_add(dynamic.p_vaddr) as *const [u64; 2];
    // SAFETY: the loader read this table of an object that is loaded; it lives as long as the object.
    let entries = unsafe { std::slice::from_raw_parts(start, count) };
    let mut entries = entries.iter().take_while(|[tag, _]| *tag != DT_NULL);
    entries.any(|[tag, value]| *tag == DT_TEXTREL || (*tag == DT_FLAGS && value & DF_TEXTREL != 0))
}

/// The whole pages of a segment.
fn pages(base: u64, header: &libc::Elf64_Phdr) -> Option<(usize, usize)> {
    /// x86-64's only size of a page of a file.
    const PAGE: u64 = 4096;
    let start = base.checked_add(header.p_vaddr)?;
    let end = start.checked_add(header.p_memsz)?;
    let (first, last) = (start & !(PAGE - 1), end.checked_add(PAGE - 1)? & !(PAGE - 1));
    (last > first).then_some((usize::try_from(first).ok()?, usize::try_from(last - first).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resident pages that files back, in KiB.
    fn resident_files() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    fn what_is_given_back_is_gone_and_comes_back_as_it_was() {
        let libvirt = crate::Libvirt::open("test:///default").unwrap();
        assert_eq!(libvirt.domains().known().map(Vec::len), Some(1));
        let before = resident_files();
        assert!(give_back() > 10 << 20, "libvirt's libraries are larger than that");
        let after = resident_files();
        assert!(after < before / 2, "{before} KiB, and {after} KiB afterwards");
        assert_eq!(libvirt.domains().known().map(Vec::len), Some(1));
    }

    #[test]
    fn others_work_on_meanwhile() {
        let text: String = ('a'..='z').cycle().take(10_000).collect();
        let sorted = || {
            let mut bytes = text.clone().into_bytes();
            bytes.sort_unstable();
            bytes
        };
        let expected = sorted();
        std::thread::scope(|scope| {
            let working: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..50).map(|_| sorted()).collect::<Vec<_>>())).collect();
            for _ in 0..50 {
                give_back();
            }
            for thread in working {
                assert!(thread.join().unwrap().iter().all(|found| *found == expected));
            }
        });
    }
}
