//! Fuzz targets: any bytes from outside give an answer or one clear error, and what was understood holds together.
//!
//! A target is a plain function over bytes that panics when something is wrong. It is driven in two ways:
//!
//! * `tests/corpus.rs`, on stable Rust and within seconds, in `make test`: the corpus, and some thousand seeded mutations
//!   of it. The same executions every time, so a failure is never a matter of luck.
//! * `make fuzz`, for hours and on all cores: libFuzzer, which watches what code an input reaches and keeps those that
//!   reach more (`src/bin/libfuzzer.rs`, `scripts/fuzz`). Still stable Rust: the compiler's coverage pass needs no more.
//!
//! A finding becomes a file in `corpus/` named after what was wrong, and so it is tried for ever. `tests/bounds.rs`
//! measures memory and time for inputs that were made to take too much of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "to panic is how a target reports a finding"
)]

pub mod mutate;
pub mod repository;
mod seeds;
mod targets;

pub use seeds::seeds;

/// One kind of input and what must hold for it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its directory in `corpus/`, and what `make fuzz` is told to run only this one.
    pub name: &'static str,
    /// Panics when something is wrong with how these bytes are treated.
    pub run: fn(&[u8]),
    /// Words of its language, to be put in here and there.
    pub words: &'static [&'static str],
    /// How many mutations `make test` tries.
    pub mutations: u32,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "evr", run: targets::evr, words: words::VERSIONS, mutations: 20_000 },
    Target { name: "relation", run: targets::relation, words: words::RELATIONS, mutations: 20_000 },
    Target { name: "primary", run: targets::primary, words: words::PRIMARY, mutations: 4_000 },
    Target {
        name: "filelists",
        run: targets::filelists,
        words: words::FILELISTS,
        mutations: 4_000,
    },
    Target { name: "repomd", run: targets::repomd, words: words::REPOMD, mutations: 4_000 },
    Target { name: "comps", run: targets::comps, words: words::COMPS, mutations: 4_000 },
    Target { name: "decompress", run: targets::decompress, words: &[], mutations: 4_000 },
    Target { name: "resolve", run: targets::resolve, words: words::PRIMARY, mutations: 2_000 },
    Target { name: "solve", run: targets::solve, words: &[], mutations: 4_000 },
    Target { name: "cache", run: targets::cache, words: &[], mutations: 2_000 },
    Target { name: "xmlrpc", run: targets::xmlrpc, words: words::XMLRPC, mutations: 4_000 },
    Target { name: "config", run: targets::config, words: words::CONFIG, mutations: 1_000 },
    Target { name: "dependency-keys", run: targets::dependency_keys, words: &[], mutations: 4_000 },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Words of the languages that are read.
mod words {
    pub(super) const VERSIONS: &[&str] =
        &["~", "^", ":", "-", ".", "0", "00", "1", "10", "a", "rc", "\n", "4294967295", "é", "\t"];

    pub(super) const RELATIONS: &[&str] = &[
        "(",
        ")",
        " and ",
        " or ",
        " if ",
        " unless ",
        " else ",
        " with ",
        " without ",
        " = ",
        " >= ",
        " <= ",
        " < ",
        " > ",
        "foo",
        "bar",
        "libc.so.6()(64bit)",
        "/usr/bin/x",
        "1:2-3",
        "0:",
        ",",
        "rpmlib(X)",
        "\n",
        "\t",
        "é",
        "-",
        ":",
    ];

    pub(super) const PRIMARY: &[&str] = &[
        "<package>",
        "</package>",
        "<name>",
        "</name>",
        "<arch>x86_64</arch>",
        "<arch>noarch</arch>",
        "<arch>i686</arch>",
        "<format>",
        "</format>",
        "<rpm:provides>",
        "</rpm:provides>",
        "<rpm:requires>",
        "</rpm:requires>",
        "<rpm:conflicts>",
        "</rpm:conflicts>",
        "<rpm:obsoletes>",
        "</rpm:obsoletes>",
        "<rpm:recommends>",
        "</rpm:recommends>",
        "<rpm:suggests>",
        "</rpm:suggests>",
        "<rpm:supplements>",
        "</rpm:supplements>",
        "<rpm:enhances>",
        "</rpm:enhances>",
        "<rpm:entry name=\"a\"/>",
        " name=\"",
        "\"",
        " flags=\"EQ\"",
        " flags=\"GE\"",
        " epoch=\"1\"",
        " ver=\"1\"",
        " rel=\"1\"",
        " pre=\"1\"",
        "<file>/a</file>",
        "&lt;",
        "&#10;",
        "&#0;",
        "&x;",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "(a if b)",
        "(a and (b or c))",
        "(a unless b else c)",
        "/usr/bin/a",
        "rpmlib(a)",
        "packages=\"1000000000\"",
        "\r\n",
    ];

    pub(super) const FILELISTS: &[&str] = &[
        "<package pkgid=\"a\">",
        "</package>",
        "<file>",
        "</file>",
        "<file type=\"dir\">",
        "/usr/bin/a",
        "&amp;",
        "&#13;",
        "<![CDATA[",
        "]]>",
        "<filelists>",
        "</filelists>",
        "\r\n",
    ];

    pub(super) const REPOMD: &[&str] = &[
        "<data type=\"primary\">",
        "</data>",
        "<checksum type=\"sha256\">",
        "</checksum>",
        "<open-checksum type=\"md5\">",
        "</open-checksum>",
        "<location href=\"a\"/>",
        "<size>",
        "</size>",
        "<open-size>",
        "</open-size>",
        "<timestamp>",
        "</timestamp>",
        "<revision>",
        "</revision>",
        "18446744073709551616",
        "-1",
        "1.5",
        "&quot;",
        "../",
    ];

    pub(super) const COMPS: &[&str] = &[
        "<group>",
        "</group>",
        "<id>",
        "</id>",
        "<name>",
        "<name xml:lang=\"de\">",
        "</name>",
        "<packagereq type=\"optional\">",
        "<packagereq>",
        "</packagereq>",
        "<packagelist>",
        "</packagelist>",
        "&apos;",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "&b;",
    ];

    pub(super) const XMLRPC: &[&str] = &[
        "<value>",
        "</value>",
        "<array><data>",
        "</data></array>",
        "<struct>",
        "</struct>",
        "<member>",
        "</member>",
        "<name>",
        "</name>",
        "<int>",
        "</int>",
        "<i8>",
        "</i8>",
        "<nil/>",
        "<ex:nil/>",
        "<boolean>1</boolean>",
        "<double>",
        "</double>",
        "inf",
        "NaN",
        "1e309",
        "<string>",
        "</string>",
        "<base64>",
        "</base64>",
        "<params>",
        "</params>",
        "<param>",
        "</param>",
        "<fault>",
        "</fault>",
        "faultCode",
        "faultString",
        "9223372036854775808",
        "&amp;",
        "&#x110000;",
        "<![CDATA[",
        "]]>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "__starstar",
    ];

    pub(super) const CONFIG: &[&str] = &[
        "[",
        "]",
        "[[",
        "]]",
        "=",
        " = ",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "\n",
        "true",
        "1e400",
        "-1",
        "koji_config",
        "database_config",
        "services",
        "interval",
        "priorities",
        "inf",
        "nan",
        "{",
        "}",
        ",",
        "1979-05-27",
        "config = {",
        "(",
        ")",
        ":",
        " * ",
        " + ",
        "True",
        "None",
        "r\"",
        "\\\n",
    ];
}
