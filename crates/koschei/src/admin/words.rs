//! Options may stand before the command that they belong to: `koschei-admin -t f28 edit-collection f27`.
//!
//! That is how operators have them in their scripts. Clap takes an option of a command only after it, so options that
//! stand before it are moved there, and everything else stays where it is.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::command_line::{Arguments, PROGRAM};

/// Puts the options of `koschei admin ...` that stand before their command after it.
pub(crate) fn in_order(words: Vec<OsString>) -> Vec<OsString> {
    let mut whole = Arguments::command();
    whole.build();
    let Some(admin) = whole.find_subcommand("admin") else { return words };
    // The words before the first that is a command and has nothing but options before it.
    let commands = words.iter().enumerate().skip(2).find_map(|(place, word)| {
        let command = admin.find_subcommand(word)?;
        let before = words.get(2..place)?;
        are_options(before, admin, command).then_some((place, command))
    });
    let Some((place, command)) = commands else { return words };
    let words = if command.get_name() == "psql" { for_psql(words, place) } else { words };
    let Some(before) = words.get(2..place) else { return words };
    if before.is_empty() || are_options(before, admin, admin) {
        return words;
    }
    let mut ordered = vec![OsString::from(PROGRAM), OsString::from("admin")];
    ordered.push(command.get_name().into());
    ordered.extend_from_slice(before);
    ordered.extend(words.into_iter().skip(place + 1));
    ordered
}

/// What follows psql is psql's, also -c, which is an option of ours as well.
fn for_psql(mut words: Vec<OsString>, place: usize) -> Vec<OsString> {
    let is_ours =
        words.get(place + 1).is_none_or(|next| next == "--" || next == "--help" || next == "-h");
    if !is_ours {
        words.insert(place + 1, OsString::from("--"));
    }
    words
}

/// Whether these are options of one of the two, each with its value if it takes one.
fn are_options(words: &[OsString], admin: &Command, command: &Command) -> bool {
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let find = |of: &Command| option(of, word).map(takes_a_value);
        let Some((takes_value, has_value)) =
            find(command).or_else(|| find(admin)).map(|takes| (takes, has_value_in_it(word)))
        else {
            return false;
        };
        if takes_value && !has_value && rest.next().is_none() {
            return false;
        }
    }
    true
}

fn takes_a_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

/// `--order=5`, `-o5`: the value is a part of the word.
fn has_value_in_it(word: &OsStr) -> bool {
    match word.to_str() {
        Some(long) if long.starts_with("--") => long.contains('='),
        Some(short) => short.chars().count() > 2,
        None => false,
    }
}

/// The option that a word names.
fn option<'a>(command: &'a Command, word: &OsStr) -> Option<&'a Arg> {
    let word = word.to_str()?;
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or(long);
        return command.get_arguments().find(|option| option.get_long() == Some(name));
    }
    let short = word.strip_prefix('-')?.chars().next()?;
    command.get_arguments().find(|option| option.get_short() == Some(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(line: &str) -> String {
        let words = ["koschei", "admin"].into_iter().chain(line.split(' ')).map(OsString::from);
        let ordered = in_order(words.collect());
        let words: Vec<&str> = ordered.iter().skip(2).map(|word| word.to_str().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn options_of_a_command_may_stand_before_it() {
        assert_eq!(
            ordered("-d 28 --target=f28 branch-collection f27 f28 --bugzilla-version 27"),
            "branch-collection -d 28 --target=f28 f27 f28 --bugzilla-version 27"
        );
        assert_eq!(ordered("--static set-priority foo 5"), "set-priority --static foo 5");
        assert_eq!(
            ordered("-c f27 --static set-priority foo -5"),
            "set-priority -c f27 --static foo -5"
        );
        // The value of an option may be the name of a command.
        assert_eq!(ordered("-d status create-collection f27"), "create-collection -d status f27");
    }

    #[test]
    fn what_follows_psql_is_its_own() {
        assert_eq!(ordered("psql -c x"), "psql -- -c x");
        assert_eq!(ordered("--debug psql -At -c x"), "--debug psql -- -At -c x");
        assert_eq!(ordered("psql -- -c x"), "psql -- -c x");
    }

    #[test]
    fn everything_else_stays_where_it_is() {
        for line in [
            "--collection f27 set-priority --static foo 100",
            "psql",
            "psql --help",
            "set-notice status",
            "-d branch-collection",
            "--nonsense set-priority foo 5",
            "status",
            "--help",
        ] {
            assert_eq!(ordered(line), line);
        }
    }
}
