//! `filelists.xml`: every path of every package, streamed.

use std::io::Read;

use quick_xml::events::Event;

use super::Error;
use super::xml::{Scanner, attributes};

/// How large the file may be when decompressed: about eight times Fedora's.
pub const LIMIT: u64 = 8 << 30;

/// Calls `visit` with the package's checksum (`pkgid`) and each of its paths, in the order of the file.
///
/// Nothing is kept, so a repository of any size needs the same little memory.
pub fn read(reader: impl Read, mut visit: impl FnMut(&str, &str)) -> Result<(), Error> {
    let mut scanner = Scanner::new(reader, "filelists.xml", LIMIT)?;
    let mut package = String::new();
    let mut path = String::new();
    let mut seen_root = false;
    loop {
        let mut fail = None;
        let mut is_file = false;
        match scanner.next()? {
            Event::Eof => break,
            Event::Start(start) => {
                let name = start.local_name();
                let name: &str = name.as_ref();
                match name {
                    "filelists" => seen_root = true,
                    "package" => {
                        package.clear();
                        fail = attributes(&start, |key, value| {
                            if key == "pkgid" {
                                package.push_str(&value);
                            }
                            Ok(())
                        })
                        .err();
                    }
                    "file" => is_file = true,
                    _ => {}
                }
            }
            _ => {}
        }
        if let Some(reason) = fail {
            return Err(scanner.malformed(reason));
        }
        if is_file {
            scanner.text(&mut path)?;
            visit(&package, &path);
        }
    }
    if !seen_root {
        return Err(scanner.malformed("there is no element filelists"));
    }
    Ok(())
}
