//! Versions and names become numbers: once for each package and each provide, so that solving compares no text.

use std::cmp::Ordering;

use rpm::{Op, rpmvercmp};

use super::Loader;
use crate::PackageId;
use crate::arrays::{FastMap, Rows};
use crate::offers::{NONE, unpack_op};
use crate::universe::OLD;

impl Loader {
    fn compare_evr(&self, a: u32, b: u32) -> Ordering {
        let universe = &self.universe;
        universe.package(PackageId(a)).evr.cmp(&universe.package(PackageId(b)).evr)
    }

    /// Orders names by bytes and packages of one name by version.
    pub(super) fn rank(&mut self) {
        let count = self.universe.names.len();
        let mut evr_rank = vec![0; count];
        let mut flags = vec![0u8; count];
        let by_name = self.by_name();
        let mut newest: Vec<u32> = Vec::new();
        for name in 0..by_name.len() as u32 {
            let same = by_name.row(name);
            if same.len() < 2 {
                continue;
            }
            let mut sorted = same.to_vec();
            sorted.sort_by(|a, b| self.compare_evr(*a, *b));
            let mut rank = 0;
            for pair in sorted.windows(2) {
                if self.compare_evr(pair[0], pair[1]) == Ordering::Less {
                    rank += 1;
                }
                evr_rank[pair[1] as usize] = rank;
            }
            newest.clear();
            newest.resize(self.universe.archs.len(), 0);
            for package in same {
                let newest = &mut newest[self.universe.arch[*package as usize] as usize];
                *newest = evr_rank[*package as usize].max(*newest);
            }
            for package in same {
                let i = *package as usize;
                if evr_rank[i] < newest[self.universe.arch[i] as usize] {
                    flags[i] |= OLD;
                }
            }
        }
        let strings = &self.universe.offers.strings;
        let mut names: Vec<u32> = self.universe.names.clone();
        names.sort_unstable();
        names.dedup();
        names.sort_by(|a, b| strings.get(*a).cmp(strings.get(*b)));
        let mut rank_of = vec![0; strings.len()];
        for (rank, name) in names.iter().enumerate() {
            rank_of[*name as usize] = rank as u32;
        }
        self.universe.name_rank =
            self.universe.names.iter().map(|name| rank_of[*name as usize]).collect();
        self.universe.evr_rank = evr_rank;
        self.universe.flags = flags;
    }

    /// Versioned provides order candidates by what several of them provide. What only one package provides is left out
    /// (most of all, each package's own name); the rest is sorted by name, and versions become numbers.
    pub(super) fn keep_contested_provides(&mut self) {
        let names = self.universe.offers.strings.len();
        let provides = std::mem::take(&mut self.universe.versioned_provides);
        let mut provider = vec![NONE; names];
        let mut contested = vec![false; names];
        for package in 0..provides.len() as u32 {
            for pair in provides.row(package).chunks_exact(2) {
                let first = &mut provider[pair[0] as usize];
                if *first == NONE {
                    *first = package;
                } else if *first != package {
                    contested[pair[0] as usize] = true;
                }
            }
        }
        let pairs = provides.data.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        let pairs = pairs.filter(|(name, _)| contested[*name as usize]);
        let ranks = self.rank_versions(pairs.map(|(name, range)| (name, range >> 3)).collect());
        let mut kept = Rows::new();
        let mut row: Vec<[u32; 3]> = Vec::new();
        for package in 0..provides.len() as u32 {
            row.clear();
            for pair in provides.row(package).chunks_exact(2) {
                if let Some((version, release)) = ranks.get(&(pair[0], pair[1] >> 3)) {
                    let less = u32::from(unpack_op(pair[1]) == Op::Lt);
                    row.push([pair[0], *version, release << 1 | less]);
                }
            }
            row.sort_by_key(|[name, _, _]| *name);
            kept.push(row.iter().flatten().copied());
        }
        self.universe.versioned_provides = kept;
    }

    /// Names and versions (as numbers of `evrs`) to places in the order of versions of that name: of epoch and version,
    /// and of the release among those, 0 for none.
    fn rank_versions(&self, mut provided: Vec<(u32, u32)>) -> FastMap<(u32, u32), (u32, u32)> {
        provided.sort_unstable();
        provided.dedup();
        let offers = &self.universe.offers;
        let strings = &offers.strings;
        let words = |evr: u32| offers.evrs[evr as usize];
        let version = |a: u32, b: u32| {
            let (a, b) = (words(a), words(b));
            let by_text = || rpmvercmp(strings.get(a.version), strings.get(b.version));
            a.epoch.cmp(&b.epoch).then_with(by_text)
        };
        let release = |a: u32, b: u32| match (words(a).release, words(b).release) {
            (NONE, NONE) => Ordering::Equal,
            (NONE, _) => Ordering::Less,
            (_, NONE) => Ordering::Greater,
            (a, b) => rpmvercmp(strings.get(a), strings.get(b)),
        };
        provided.sort_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| version(a.1, b.1)).then_with(|| release(a.1, b.1))
        });
        let mut ranks = FastMap::default();
        let (mut before, mut version_rank, mut release_rank) = (None, 0, 0);
        for (name, evr) in provided {
            match before {
                Some((same, other)) if same == name && version(other, evr).is_eq() => {
                    release_rank += u32::from(release(other, evr).is_ne());
                }
                _ => {
                    version_rank = if before.is_some_and(|(same, _)| same == name) {
                        version_rank + 1
                    } else {
                        0
                    };
                    release_rank = u32::from(words(evr).release != NONE);
                }
            }
            before = Some((name, evr));
            ranks.insert((name, evr), (version_rank, release_rank));
        }
        ranks
    }
}
