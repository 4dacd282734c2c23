//! What may be asked of `koschei depcheck`, in the words that `--help` shows.

use clap::{Args, ValueEnum};

/// The rules that are too long for the line of one option.
const RULES: &str = "\
Repositories:
  A DIR holds repodata/repomd.xml; a URL is what would stand in a .repo file as baseurl. Metadata may be compressed
  with gz, xz, zst or bz2 and are verified against repomd.xml. Several --binary are merged as Koji merges external
  repositories: of packages with the same name, version, release and architecture the first repository's counts; of
  different versions all can be chosen from, and the newest is preferred.

Source packages:
  With a DIR or URL, its packages of architecture src and nosrc, and what they require. A LIST is a file (- is
  standard input) with one source package a line, either
      name [[epoch:]version-release]: requirement, requirement >= version, (this or that)
  or a JSON object with name, evr (may be absent) and build_requires, which is what --format jsonl prints. Lines that
  begin with # are skipped.

Build group:
  What is in every buildroot: a FILE of package names, or a group of the comps of the binary repositories (its
  mandatory and default packages). Names that nothing provides are left out, as Koji does, with a warning.

What if:
  With --overlay or --remove everything is resolved twice, with and without the change, and only what differs is
  printed. Overlays come one after the other, each on top of what those before it made:
      newer    of each source package the newest build counts, as when a side tag is merged: an overlay's packages
               replace all packages built from the same source package, unless those are newer (then they are left
               out, with a warning)
      replace  the same whichever is newer
      add      nothing is replaced; both can be chosen from, and the newest is preferred
  --remove NAME takes away the binary packages of that name, --remove source:NAME all that are built from a source
  package, and asks about that source package no more. It is done last.

Exit status:
  0  every source package can be built (what if: nothing is newly broken)
  1  some cannot (what if: some are newly broken)
  2  the question could not be answered";

/// Tell which source packages cannot be built from these repositories, and why
#[derive(Debug, Clone, Args)]
#[command(after_long_help = RULES)]
pub(crate) struct DepcheckOptions {
    /// Repository of binary packages to build with (repeatable, the first wins)
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
    /// What if these packages came, too (repeatable)
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
    /// Tell what would be installed as well (json and jsonl)
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
