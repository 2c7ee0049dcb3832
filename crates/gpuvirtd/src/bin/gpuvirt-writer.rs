//! The writer as a program of its own: requests on standard input, answers on standard output, and nothing else.
//!
//! It links neither libvirt nor the server. A writer is started for the first write of a plan, and loading the whole
//! daemon would take longer than the write.

use std::io;

fn main() -> io::Result<()> {
    gpuvirt_host::writer_main(io::stdin().lock(), io::stdout().lock(), "")
}
