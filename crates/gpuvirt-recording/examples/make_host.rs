//! Prints a made-up host of a given number of PCI functions as a umockdev dump.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let functions = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(400);
    std::io::stdout().write_all(gpuvirt_recording::made::many_functions(functions).as_bytes())
}
