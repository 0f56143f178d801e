//! Rules about the tree itself: the table of rooms and floors in `src/lib.rs`, the doors of outside
//! packages, lengths, headers and names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the user fixed, and what cargo needs beside it.
const TOP_LEVEL: [&str; 8] =
    ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "completions", "install.sh", "src", "tests"];

/// Packages that are the language of every room, and need no door.
const EVERYWHERE: [&str; 18] = [
    "backon",
    "base64",
    "bytes",
    "futures_util",
    "getrandom",
    "http",
    "jiff",
    "memchr",
    "rustix",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "tokio",
    "tokio_util",
    "tracing",
    "url",
    "zeroize",
];

const LENGTH_WANTED: usize = 400;
const LENGTH_LIMIT: usize = 600;

/// One row of the table in `src/lib.rs`.
struct Row {
    floor: u32,
    rooms: BTreeSet<String>,
    /// Pairs of rooms on one floor where the first may import the second.
    sideways: BTreeSet<(String, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `directory`, with its text.
fn sources(directory: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn table() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    assert!(rows.len() > 5, "src/lib.rs holds no table of rooms and floors");
    rows
}

/// `//! | 6 | [`cli`], [`config`] | what it is for (`cli` may import `config`) |`
fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.strip_prefix("//! |")?.split('|').map(str::trim).collect();
    let [floor, rooms, purpose, ""] = cells[..] else { return None };
    let sideways = purpose.match_indices("` may import `").map(|(place, found)| {
        let from = purpose[..place].rsplit('`').next().unwrap();
        let to = purpose[place + found.len()..].split('`').next().unwrap();
        (from.to_owned(), to.to_owned())
    });
    Some(Row { floor: floor.parse().ok()?, rooms: quoted(rooms).collect(), sideways: sideways.collect() })
}

/// The room that a file of `src/` belongs to; none for `lib.rs` and `main.rs`.
fn room(path: &Path) -> Option<String> {
    let below = path.strip_prefix("src").ok()?;
    let first = Path::new(below.iter().next()?).file_stem()?.to_str()?;
    (!matches!(first, "lib" | "main")).then(|| first.to_owned())
}

/// The product's files: without those that only hold unit tests.
fn product() -> impl Iterator<Item = (PathBuf, String)> {
    let is_test = |path: &Path| path.with_extension("").iter().any(|part| part == "tests");
    sources("src").into_iter().filter(move |(path, _)| !is_test(path)).map(|(path, text)| (path, code(&text)))
}

/// The text without its comments and its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The names that follow `crate::`, inside braces too.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (place, found) in code.match_indices("crate::") {
        let rest = &code[place + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(rest.split(|character| !is_name(character)).next().unwrap().to_owned());
            continue;
        };
        let mut depth = 1;
        let mut item = String::new();
        for character in group.chars() {
            depth += i32::from(character == '{') - i32::from(character == '}');
            if depth == 0 || (depth == 1 && character == ',') {
                names.insert(item.trim().split(|character| !is_name(character)).next().unwrap().to_owned());
                item.clear();
            } else {
                item.push(character);
            }
            if depth == 0 {
                break;
            }
        }
    }
    names.remove("");
    names
}

#[test]
fn rooms_import_from_lower_floors_only() {
    let table = table();
    let floors: BTreeMap<_, _> =
        table.iter().flat_map(|row| row.rooms.iter().map(move |room| (room.clone(), row.floor))).collect();
    let sideways: BTreeSet<_> = table.iter().flat_map(|row| row.sideways.clone()).collect();
    let mut wrong = Vec::new();
    for (path, text) in product() {
        let Some(room) = room(&path) else { continue };
        let Some(floor) = floors.get(&room) else {
            wrong.push(format!("{}: the room `{room}` is not in the table", path.display()));
            continue;
        };
        for name in imports(&text).into_iter().filter(|name| *name != room) {
            let below = floors.get(&name).is_some_and(|other| other < floor);
            if floors.contains_key(&name) && !below && !sideways.contains(&(room.clone(), name.clone())) {
                wrong.push(format!("{}: `{room}` may not import `{name}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The second table of `src/lib.rs`: ``//! | `reqwest` | [`http`] |``
fn doors() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut doors = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<_> = line.strip_prefix("//! |").unwrap_or_default().split('|').collect();
        if let [packages, rooms, ""] = cells[..] {
            let rooms: BTreeSet<_> = quoted(rooms).collect();
            doors.extend(quoted(packages).map(|package| (package, rooms.clone())));
        }
    }
    doors
}

/// The packages that the product is built from, as code names them.
fn dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut packages = BTreeSet::new();
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]") && !line.starts_with("[dev-");
        } else if let Some((name, _)) = line.split_once(" = ")
            && in_dependencies
            && !name.starts_with('#')
        {
            packages.insert(name.replace('-', "_"));
        }
    }
    packages
}

/// Whether `code` names something below `package::`.
fn names(code: &str, package: &str) -> bool {
    code.match_indices(&format!("{package}::")).any(|(place, _)| {
        !code[..place].chars().next_back().is_some_and(|before| is_name(before) || before == ':')
    })
}

#[test]
fn outside_packages_have_their_doors() {
    let (doors, mut wrong) = (doors(), Vec::new());
    for package in dependencies().iter().filter(|package| !EVERYWHERE.contains(&package.as_str())) {
        let Some(rooms) = doors.get(package) else {
            wrong.push(format!("`{package}` has no door in src/lib.rs"));
            continue;
        };
        for (path, text) in product() {
            if names(&text, package) && room(&path).is_some_and(|room| !rooms.contains(&room)) {
                wrong.push(format!("{}: names `{package}`, whose door is {rooms:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_headed_and_well_named() {
    let marks =
        ["TO DO", "FIX ME", "to do!(", "un implemented!(", "#[ign ore"].map(|mark| mark.replace(' ', ""));
    let mut wrong = Vec::new();
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let shown = path.display();
        let length = text.lines().count();
        if length > LENGTH_LIMIT {
            wrong.push(format!("{shown}: {length} lines"));
        } else if length > LENGTH_WANTED {
            eprintln!("{shown}: {length} lines, more than the {LENGTH_WANTED} that are wanted");
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{shown}: does not say what it is for"));
        }
        let banned = ["utils", "common", "helpers", "misc", "types", "manager"];
        if path.with_extension("").iter().any(|part| banned.iter().any(|name| part == *name)) {
            wrong.push(format!("{shown}: a name that says nothing"));
        }
        for mark in marks.iter().filter(|mark| text.contains(mark.as_str())) {
            wrong.push(format!("{shown}: holds `{mark}`"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_top_level_holds_what_was_fixed() {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: BTreeSet<_> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    for entry in std::fs::read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let fixed =
            name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()) || ignored.contains(name.as_str());
        assert!(fixed, "`{name}` has no place at the top level");
    }
}

#[test]
fn lock_files_name_no_registry() {
    let lock = std::fs::read_to_string(root().join("tests/node/package-lock.json")).unwrap();
    assert!(!lock.contains("\"resolved\""), "write it with omit-lockfile-registry-resolved");
    for lock in ["Cargo.lock", "tests/fuzz/Cargo.lock"] {
        let text = std::fs::read_to_string(root().join(lock)).unwrap();
        let places: BTreeSet<_> = text.lines().filter(|line| line.starts_with("source = ")).collect();
        let index = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert_eq!(places, BTreeSet::from([index]), "{lock}");
        for package in ["reqwest", "rustls"] {
            let versions = text.lines().filter(|line| *line == format!("name = \"{package}\"")).count();
            assert_eq!(versions, 1, "{lock} has one {package}");
        }
    }
}

/// What is waited for may take as long as it likes: an event stream is silent for hours, and a tool works
/// for as long. Only that somebody is still there is asked, by the kernel and by HTTP/2; a limit of silence
/// would cut what is well. What has to end in time is waited for with a limit of its own.
#[test]
fn nothing_that_is_silent_is_cut_for_it() {
    let limited = product().filter(|(_, text)| text.contains(".read_timeout(") || text.contains(".timeout("));
    let limited: Vec<_> = limited.map(|(path, _)| path).collect();
    assert!(limited.is_empty(), "an idle stream would be cut: {limited:?}");
}

/// The rows A of the requirements that are served so far; each is named by the test that shows it.
const ROWS: [&str; 21] = [
    "A1", "A2", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A15", "A16", "A20", "A21", "A24", "A25",
    "A26", "A27", "A28", "A29", "A30",
];

/// The rows A that are not, and what is to serve them.
const LATER_ROWS: [(&str, &str); 9] = [
    ("A3", "a gateway (`serve`) that many agents share"),
    ("A4", "a gateway: one login behind bearer tokens with names"),
    ("A13", "moving a login to another machine (`tokens export`, `tokens import`)"),
    ("A14", "nothing: the row asks for no more than the others do"),
    ("A17", "a gateway: an identity for each client, or one for all"),
    ("A18", "a filter of tools, for a service and for a token"),
    ("A19", "logins without a person (client credentials)"),
    ("A22", "settings in a file, in which another kind of token is another word"),
    ("A23", "logins without a person (client credentials)"),
];

/// What stands right above each test.
fn comments_of_tests(text: &str) -> Vec<String> {
    let mut above = String::new();
    let mut comments = Vec::new();
    for line in text.lines() {
        match line {
            "#[test]" => comments.push(std::mem::take(&mut above)),
            _ if line.starts_with("///") => above += &format!("{line}\n"),
            _ => above.clear(),
        }
    }
    comments
}

#[test]
fn every_row_that_is_served_has_a_test() {
    let comments: String = sources("tests/it")
        .iter()
        // Attack cases are numbered in the same way.
        .filter(|(path, _)| !path.ends_with("tidy.rs") && !path.starts_with("tests/it/attacks"))
        .flat_map(|(_, text)| comments_of_tests(text))
        .collect();
    let named: BTreeSet<_> = comments.split(|character: char| !character.is_alphanumeric()).collect();
    let missing: Vec<_> = ROWS.iter().filter(|row| !named.contains(*row)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
    let later = LATER_ROWS.iter().map(|(row, _)| *row);
    let mut rows: Vec<_> = ROWS.into_iter().chain(later).collect();
    rows.sort_by_key(|row| row[1..].parse::<u32>().unwrap());
    assert_eq!(rows, (1..=30).map(|number| format!("A{number}")).collect::<Vec<_>>());
}

/// What tests alone may have is in no release: no feature is on by default, the tests' own is switched
/// on among the dev-dependencies, and two files know it. Nobody else asks for the time of day.
#[test]
fn releases_have_neither_failpoints_nor_another_clock() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (before, tests) = manifest.split_once("[dev-dependencies]").unwrap();
    assert!(!before.contains("default =") && !before.contains("\"failpoints\""), "{before}");
    assert!(tests.contains("mcp-front = { path = \".\", features = [\"failpoints\"] }"));
    let know: Vec<_> = sources("src")
        .into_iter()
        .filter(|(_, text)| text.contains("feature = \"failpoints\""))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(know, ["src/clock.rs", "src/failpoint.rs"]);
    let asks =
        |(path, text): &(PathBuf, String)| !path.ends_with("clock.rs") && text.contains("Timestamp::now()");
    let asking: Vec<_> = product().filter(asks).map(|(path, _)| path).collect();
    assert!(asking.is_empty(), "not through `clock`: {asking:?}");
}
