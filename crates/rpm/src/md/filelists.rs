//! `filelists.xml`: every path of every package, streamed.

use std::io::Read;

use super::Error;
use super::xml::{Event, Scanner};

/// How large the file may be when decompressed: about eight times Fedora's.
pub const LIMIT: u64 = 8 << 30;

/// Calls `visit` with the package's checksum (`pkgid`) and each of its paths, in the order of the file.
///
/// Nothing is kept, so a repository of any size needs the same little memory. It is decompressed in another thread.
pub fn read(reader: impl Read + Send, visit: impl FnMut(&str, &str)) -> Result<(), Error> {
    Scanner::in_two_threads(reader, "filelists.xml", LIMIT, |scanner| read_all(scanner, visit))
}

fn read_all(mut scanner: Scanner<'_>, mut visit: impl FnMut(&str, &str)) -> Result<(), Error> {
    let mut package = String::new();
    let mut buffer = String::new();
    let mut seen_root = false;
    loop {
        match scanner.next()? {
            Event::Eof => break,
            Event::Start(start) => match start.local_name() {
                "file" => visit(&package, scanner.text_or(&mut buffer)?),
                "filelists" => seen_root = true,
                "package" => {
                    package.clear();
                    let pkgid = start.attributes().find(|(key, _)| *key == "pkgid");
                    package.extend(pkgid.map(|(_, value)| value));
                }
                _ => {}
            },
            Event::End(_) => {}
        }
    }
    if !seen_root {
        return Err(scanner.malformed("there is no element filelists"));
    }
    Ok(())
}
