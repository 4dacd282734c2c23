//! What stands on a terminal: how far it is while it takes time, and only the answer in the end.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use nix::pty::openpty;

use super::world::{Instead, Server, World, depcheck, package, source};

/// What a command writes to a terminal of a kind, read until it ends; the trouble of the server is over as soon as
/// something stands there that contains the text.
fn written(command: &mut Command, kind: &str, server: &Server, awaited: &str) -> String {
    let terminal = openpty(None, None).unwrap();
    command.env("TERM", kind).stdout(terminal.slave.try_clone().unwrap()).stderr(terminal.slave);
    let mut child = command.spawn().unwrap();
    // It holds the other end of the terminal, too.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut terminal = File::from(terminal.master);
    let (mut text, mut part) = (String::new(), [0; 4096]);
    // Linux ends a terminal that nobody writes to any more with an error.
    while let Ok(length @ 1..) = terminal.read(&mut part) {
        text.push_str(str::from_utf8(&part[..length]).unwrap());
        if text.contains(awaited) {
            *server.instead.lock().unwrap() = None;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(1), "{text}");
    text.replace("\r\n", "\n")
}

/// What is left of a text on the terminal after all that was wiped out again.
fn left(written: &str) -> String {
    let mut left = String::new();
    for part in written.split("\r\x1b[K") {
        left.truncate(left.rfind('\n').map_or(0, |end| end + 1));
        left.push_str(part);
    }
    left
}

#[test]
fn a_terminal_shows_how_far_it_is_and_then_the_answer_alone() {
    let world = World::new();
    world.binary(&[package("gcc 14")]);
    world.source(&[source("bash 5").requires("gcc"), source("vim 9").requires("libacl-devel")]);
    let server = Server::start(world.directory());
    let ask = || {
        let mut command = depcheck();
        command.args(["--binary", &server.address("binary")]);
        command.args(["--source", &server.address("source")]);
        command
    };
    let piped = ask().output().unwrap();
    assert_eq!(str::from_utf8(&piped.stderr).unwrap(), "", "nothing but a terminal sees a bar");
    let answer = str::from_utf8(&piped.stdout).unwrap();
    assert!(answer.contains("nothing provides libacl-devel"), "{answer}");

    *server.instead.lock().unwrap() = Some(Instead::Hang("primary"));
    // Half of the file, or a byte less, however long it takes to come.
    let half = " [###########";
    let shown = written(&mut ask(), "xterm", &server, half);
    assert!(shown.contains("\r\x1b[KFetching …") && shown.contains(half), "{shown:?}");
    assert_eq!(left(&shown), answer);

    // One that cannot wipe anything out.
    assert_eq!(written(&mut ask(), "dumb", &server, "never"), answer);
}
