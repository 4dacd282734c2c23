//! What may be asked of `koschei depcheck`, in the words that `--help` shows.

use clap::{Args, ValueEnum};

/// The rules that are too long for the line of one option.
const RULES: &str = "\
Repositories:
  A DIR holds repodata/repomd.xml; a URL is what a .repo file gives as baseurl.
  Metadata may be compressed with gz, xz, zst or bz2 and are verified against
  repomd.xml. With several --binary, of packages with the same name, version,
  release and architecture that of the first repository counts, as in Koji;
  of different versions all are there, and the newest is preferred.

Source packages:
  Of a DIR or URL its packages of architecture src and nosrc, and what they
  require. A LIST is a file (- is standard input) with a source package a line,
      name [[epoch:]version-release]: requirement, requirement >= version, ...
  or a JSON object with name, evr (may be absent) and build_requires, as
  --format jsonl prints it. Lines that begin with # are skipped.

Build group:
  What is in every buildroot: a FILE of package names, or a group of the comps
  of the binary repositories (its mandatory and default packages). Names that
  nothing provides are left out with a warning; Koji leaves them out silently.

What if:
  With --overlay or --remove everything is resolved twice, without and with the
  change, and only what differs is printed. Overlays lie on top of each other
  in the order given. By --overlay-mode,
    newer    of each source package the newest build counts, as when a side tag
             is merged: the overlay's packages replace all that were built from
             the same source package, unless that build is newer (then they are
             left out, with a warning)
    replace  the same, whichever is newer
    add      nothing is replaced, as with one more --binary
  Removal comes last. --remove NAME takes away binary packages of that name,
  --remove source:NAME all that were built from a source package, which is then
  not asked about either. A name that is not there is an error.
  Overlays change what is installed, not what is to be built.

Exit status:
  0  every source package can be built (what if: nothing is newly broken)
  1  some cannot (what if: some are newly broken)
  2  the question could not be answered, and standard error says why";

/// Tell which source packages cannot be built from these repositories, and why
#[derive(Debug, Clone, Args)]
#[command(after_long_help = RULES)]
pub(crate) struct DepcheckOptions {
    /// Repository of binary packages to build with (repeatable)
    #[arg(long, value_name = "DIR|URL", required = true, num_args = 1..)]
    pub(super) binary: Vec<String>,
    /// Source packages to be built: a repository or a list
    #[arg(long, value_name = "DIR|URL|LIST")]
    pub(super) source: String,
    /// Packages that every buildroot contains
    #[arg(long, value_name = "FILE|comps:GROUP")]
    pub(super) build_group: Option<String>,
    /// Architecture to build for
    #[arg(long, value_name = "ARCH", default_value = "x86_64")]
    pub(super) arch: String,
    /// Do not follow Recommends and Supplements
    #[arg(long)]
    pub(super) ignore_weak_deps: bool,
    /// What if these packages came as well (repeatable)
    #[arg(long, value_name = "DIR|URL", num_args = 1..)]
    pub(super) overlay: Vec<String>,
    /// What an overlay does to what is there
    #[arg(long, value_name = "MODE", value_enum, default_value_t = OverlayMode::Newer)]
    pub(super) overlay_mode: OverlayMode,
    /// What if this package went (repeatable)
    #[arg(long, value_name = "[source:]NAME")]
    pub(super) remove: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Tell also what would be installed, and at which distance (json and jsonl)
    #[arg(long)]
    pub(super) install_sets: bool,
    /// How many threads to use [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people: broken packages by root cause
    Text,
    /// One document
    Json,
    /// One object a line for each source package, in the order of the source repository
    Jsonl,
}

/// What an overlay does to packages that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OverlayMode {
    /// Of each source package the newest build counts
    Newer,
    /// Nothing is replaced
    Add,
    /// The overlay counts
    Replace,
}
