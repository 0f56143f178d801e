//! Replays the corpora of the fuzz targets: inputs that were written by hand, and what fuzzing found
//! (`tests/soak/fuzz` looks for more).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "../fuzz/bodies/mod.rs"]
#[allow(unreachable_pub, reason = "the fuzzing package has them as its library")]
mod bodies;

/// How large the corpora may grow, in files and bytes: each is replayed with every test run.
const MOST: (usize, u64) = (600, 1024 * 1024);

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries =
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Checks each input of a target's corpus, and names those that fail.
fn replay(target: &str) {
    let (_, check) = bodies::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let corpus = fuzz().join("corpus").join(target);
    let names = names(&corpus);
    assert!(names.len() >= 10, "{target} has hardly a corpus");
    let fails = |name: &&String| {
        let input = std::fs::read(corpus.join(name)).unwrap();
        std::panic::catch_unwind(|| check(&input)).is_err()
    };
    let failed: Vec<_> = names.iter().filter(fails).collect();
    assert!(failed.is_empty(), "{target}: {failed:#?}");
}

macro_rules! replays {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })*

        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
    };
}

replays!(callback challenge edit events framing message metadata paste settings stored token_response);

/// Each has its program, its corpus and its replay, and nothing else lies there.
#[test]
fn targets_and_corpora_belong_together() {
    let targets: BTreeSet<_> = bodies::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("corpus")), targets);
    assert_eq!(REPLAYED.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), targets);
    let programs = names(&fuzz().join("targets"));
    assert_eq!(
        programs.iter().map(|name| name.trim_end_matches(".rs").to_owned()).collect::<BTreeSet<_>>(),
        targets
    );
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let listed =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\""));
    assert_eq!(listed.map(str::to_owned).collect::<BTreeSet<_>>(), targets);
    for dictionary in names(&fuzz().join("dictionaries")) {
        assert!(targets.contains(dictionary.trim_end_matches(".dict")), "{dictionary} is of no target");
    }
}

#[test]
fn corpora_stay_small() {
    let (mut files, mut bytes) = (0, 0);
    for (target, _) in bodies::TARGETS {
        for name in names(&fuzz().join("corpus").join(target)) {
            files += 1;
            bytes += std::fs::metadata(fuzz().join("corpus").join(target).join(name)).unwrap().len();
        }
    }
    assert!(files <= MOST.0 && bytes <= MOST.1, "{files} files of {bytes} bytes");
}
