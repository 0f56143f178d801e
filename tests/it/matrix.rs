//! The matrices of cases: each case of a list has a test that is named after its id, or a reason.
//!
//! A matrix is a folder with its `cases.txt`. `tests/run` prints it with what became of each test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each matrix: its folder, and how many cases each letter has.
const MATRICES: [(&str, &[(char, usize)]); 2] = [
    ("attacks", &[('A', 21), ('B', 15), ('C', 17), ('D', 6)]),
    ("faults", &[('F', 13), ('G', 12), ('H', 19), ('I', 18)]),
];

fn folder(matrix: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(matrix)
}

/// The listed cases, each with its reason where no test holds it.
fn cases(matrix: &str) -> BTreeMap<String, Option<String>> {
    let text = std::fs::read_to_string(folder(matrix).join("cases.txt")).unwrap();
    let mut cases = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (id, rest) = line.split_once(' ').expect("an id and what it stands for");
        let (what, reason) = rest.split_once(" | ").map_or((rest, None), |(what, why)| (what, Some(why)));
        assert!(!what.is_empty() && reason.is_none_or(|why| why.len() > 10), "{id} says too little");
        let listed = cases.insert(id.to_owned(), reason.map(str::to_owned));
        assert!(listed.is_none(), "{id} is listed twice");
    }
    cases
}

/// The ids that tests of the folder are named after.
fn tested(matrix: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(folder(matrix)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.windows(2) {
            let Some(name) = pair[1].strip_prefix("fn ").filter(|_| pair[0] == "#[test]") else { continue };
            let id = name.split('_').next().unwrap_or_default().to_ascii_uppercase();
            let is_id = id.len() == 3 && id.chars().skip(1).all(|digit| digit.is_ascii_digit());
            assert!(is_id, "{}: `{name}` is not named after a case", path.display());
            ids.insert(id);
        }
    }
    ids
}

#[test]
fn every_case_has_a_test_or_a_reason() {
    for (matrix, letters) in MATRICES {
        let (cases, tested) = (cases(matrix), tested(matrix));
        let all: BTreeSet<_> = letters
            .iter()
            .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number:02}")))
            .collect();
        assert_eq!(cases.keys().cloned().collect::<BTreeSet<_>>(), all, "{matrix}: the list is whole");
        let is_held = |id: &&String| tested.contains(*id) != cases[*id].is_some();
        let wrong: Vec<_> = all.iter().filter(|id| !is_held(id)).collect();
        assert!(wrong.is_empty(), "{matrix}: neither or both of a test and a reason: {wrong:?}");
        let unknown: Vec<_> = tested.difference(&all).collect();
        assert!(unknown.is_empty(), "{matrix}: no case is called {unknown:?}");
    }
}
