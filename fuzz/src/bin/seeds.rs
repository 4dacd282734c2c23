//! Writes the seeds of every target, and its words as a dictionary, into directories for libFuzzer, and prints the
//! names of the targets.

use std::io::Write as _;
use std::{env, fs, io, path::PathBuf};

use koschei_fuzz::{TARGETS, seeds};

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: seeds DIRECTORY"));
    };
    for target in TARGETS {
        let own = directory.join(target.name);
        fs::create_dir_all(own.join("seeds"))?;
        for (name, seed) in seeds(target.name) {
            fs::write(own.join("seeds").join(name), seed)?;
        }
        let mut dictionary = fs::File::create(own.join("dictionary"))?;
        for word in target.words {
            let bytes: String = word.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
            writeln!(dictionary, "\"{bytes}\"")?;
        }
        writeln!(io::stdout(), "{}", target.name)?;
    }
    Ok(())
}
