//! Manual pages and shell completion, from the definitions of the command line: what `make install` puts where the system
//! looks for them.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{
    command_line::{ADMIN_NAMES, Arguments, PROGRAM},
    failure::Failure,
};

/// Where the scripts of a shell belong, and what stands before and after the name of the command in theirs.
const SHELLS: [(Shell, &str, &str, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions", "", ""),
    (Shell::Zsh, "usr/share/zsh/site-functions", "_", ""),
    (Shell::Fish, "usr/share/fish/vendor_completions.d", "", ".fish"),
];

/// Where manual pages belong.
const PAGES: &str = "usr/share/man/man1";

/// Writes all of them below a directory that stands for `/`.
pub(crate) fn install(root: &Path) -> Result<ExitCode, Failure> {
    write_all(root).map_err(|error| {
        Failure::new(format_args!("the manual cannot be written below {}: {error}", root.display()))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write_all(root: &Path) -> io::Result<()> {
    let pages = root.join(PAGES);
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Arguments::command(), &pages)?;
    for name in ADMIN_NAMES {
        let mut page = fs::File::create(pages.join(format!("{PROGRAM}-{name}.1")))?;
        writeln!(page, ".so man1/{PROGRAM}-admin-{name}.1")?;
    }
    for (shell, directory, before, after) in SHELLS {
        let directory = root.join(directory);
        fs::create_dir_all(&directory)?;
        for (name, mut command) in programs() {
            let path = directory.join(format!("{before}{name}{after}"));
            fs::write(path, script(shell, &mut command, &name))?;
        }
    }
    Ok(())
}

/// A script that completes what follows a name.
fn script(shell: Shell, command: &mut Command, name: &str) -> Vec<u8> {
    let mut script = Vec::new();
    // The generator for bash confuses a hyphen in the name with those in names of commands, and then completes none of
    // these. So it gets a name without, which only the last word of the script has to have.
    let plain = if shell == Shell::Bash { name.replace('-', "_") } else { name.to_owned() };
    generate(shell, command, &plain, &mut script);
    if plain == name {
        return script;
    }
    let text = String::from_utf8_lossy(&script);
    let end = format!(" {plain}");
    let lines = text.lines().map(|line| match line.strip_suffix(&end) {
        Some(start) if line.trim_start().starts_with("complete ") => format!("{start} {name}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect::<String>().into_bytes()
}

/// Every name that we are installed under, with what may follow it.
fn programs() -> Vec<(String, Command)> {
    let whole = Arguments::command();
    let mut all = vec![(PROGRAM.to_owned(), whole.clone())];
    if let Some(admin) = whole.find_subcommand("admin") {
        all.push((format!("{PROGRAM}-admin"), admin.clone()));
        let options = || admin.get_arguments().filter(|option| option.is_global_set()).cloned();
        all.extend(ADMIN_NAMES.iter().filter_map(|name| {
            let command = admin.find_subcommand(name)?;
            Some((format!("{PROGRAM}-{name}"), command.clone().args(options())))
        }));
    }
    all
}
