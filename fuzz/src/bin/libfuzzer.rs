//! All targets as one executable of libFuzzer; `KOSCHEI_FUZZ_TARGET` says which one it is this time. Built and run by
//! `scripts/fuzz`.

#![no_main]
#![allow(
    clippy::panic,
    clippy::expect_used,
    unsafe_code,
    reason = "libFuzzer's macro, and its way of saying no"
)]

use std::sync::OnceLock;

use koschei_fuzz::{Target, target};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("KOSCHEI_FUZZ_TARGET").unwrap_or_default();
        let target = target(&name).unwrap_or_else(|| panic!("KOSCHEI_FUZZ_TARGET={name}: no such target"));
        let _ = TARGET.set(target);
    },
    |data: &[u8]| {
        (TARGET.get().expect("set by init").run)(data);
    }
);
