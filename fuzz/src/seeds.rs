//! Where fuzzing begins: the files of `corpus/`, and what our own writers make of the small repository of this file. The
//! latter follow every change of a format without anybody having to remember it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use depsolve::Universe;
use rpm::md::write;

use crate::mutate::Random;
use crate::repository::repository;

/// Where the corpus is in the source tree.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// All seeds of a target with a name for each, in the same order every time.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut names: Vec<PathBuf> = fs::read_dir(corpus().join(target))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        seeds.push((name, fs::read(&path).unwrap()));
    }
    seeds.extend(made(target).into_iter().enumerate().map(|(i, seed)| (format!("made-{i}"), seed)));
    seeds
}

fn made(target: &str) -> Vec<Vec<u8>> {
    // Small repositories of every kind: the same ones every time.
    let recipes = || {
        (0..12).map(|seed| {
            let mut random = Random::new(seed);
            (0..40 + seed * 20).map(|_| random.word() as u8).collect::<Vec<u8>>()
        })
    };
    match target {
        "solve" => recipes().collect(),
        "primary" | "resolve" => recipes()
            .map(|recipe| write::complete_primary_xml(&repository(&recipe).0).into_bytes())
            .collect(),
        "filelists" => recipes()
            .take(3)
            .map(|recipe| write::filelists_xml(&repository(&recipe).0).into_bytes())
            .collect(),
        "cache" => recipes()
            .flat_map(|recipe| {
                let universe = Universe::from_packages(
                    repository(&recipe).0,
                    "x86_64",
                    ["/usr/bin/tool".to_owned()],
                );
                let mut file = Vec::new();
                universe.unwrap().save(&mut file).unwrap();
                // With its header, and the arrays alone.
                let arrays = file[32..].to_vec();
                [file, arrays]
            })
            .collect(),
        "decompress" => {
            let text = b"<metadata>some text, some text, some text</metadata>".repeat(20);
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            gzip.write_all(&text).unwrap();
            let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
            xz.write_all(&text).unwrap();
            let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            bzip2.write_all(&text).unwrap();
            vec![
                gzip.finish().unwrap(),
                xz.finish().unwrap(),
                bzip2.finish().unwrap(),
                zstd::stream::encode_all(text.as_slice(), 1).unwrap(),
                text,
            ]
        }
        "dependency-keys" => {
            let ids: Vec<u8> = [1u32, 4, 7, 300].iter().flat_map(|id| id.to_be_bytes()).collect();
            vec![koschei_db::dependency_keys::encode(&[3, 5, 300, 70000]).unwrap(), ids]
        }
        _ => Vec::new(),
    }
}
