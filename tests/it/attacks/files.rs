//! Attacks on the store's files (C01 to C04): modes, owners, links, masks, and what is left behind.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::geteuid;

use crate::support::failpoint::{self, Failpoint};
use crate::support::home::{BINARY, Home, finish};
use crate::support::service::{NAME, Service};
use crate::support::skip;

/// What is stored in vain.
const TOKEN: &str = "canary-token-for-a-file-71c0";

/// Somebody else.
const STRANGER: u32 = 54_321;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Everything below `root`, itself included.
fn everything(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path()));
    }
    found
}

/// Stores a token in place of the login, in the process itself.
fn store_token(service: &Service) -> Command {
    service.home.command(["tokens", "set", NAME, "--force"])
}

/// The files that storing a token touches: the record, the entry and the lock, and their directories.
fn touched(service: &Service) -> Vec<PathBuf> {
    let (paths, _, key) = service.kept();
    let directories = [paths.credentials(), paths.services(), paths.locks()];
    let files = [
        paths.credentials().join(format!("{key}.sealed")),
        service.entry_file(),
        paths.locks().join(format!("{key}.refresh")),
    ];
    directories.into_iter().chain(files).collect()
}

#[test]
fn c01_what_others_may_read_or_write_is_closed_to_them_with_a_warning() {
    let service = Service::logged_in();
    for (directory, file) in [(0o755, 0o644), (0o750, 0o640), (0o777, 0o666)] {
        let touched = touched(&service);
        for path in &touched {
            let open = if path.is_dir() { directory } else { file };
            fs::set_permissions(path, Permissions::from_mode(open)).unwrap();
        }
        let said = finish(store_token(&service), TOKEN.as_bytes()).expect(0).stderr;
        for path in &touched {
            let (private, what) = if path.is_dir() { (0o700, "directory") } else { (0o600, "file") };
            assert_eq!(mode(path), private, "{}: {said}", path.display());
            let warning = format!("the {what} was open to other users");
            let warned = |line: &str| line.contains(&warning) && line.contains(path.to_str().unwrap());
            assert!(said.lines().any(warned), "{} is not named: {said}", path.display());
        }
    }
}

/// A bridge reads what was open, and closes it.
#[test]
fn c01_a_bridge_closes_the_record_that_it_reads() {
    let service = Service::logged_in();
    let record = touched(&service)[3].clone();
    fs::set_permissions(&record, Permissions::from_mode(0o644)).unwrap();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "on"), "on");
    assert_eq!(mode(&record), 0o600);
    bridge.process.stderr.wait_for("the warning", |text| text.contains("the file was open to other users"));
}

/// Only root can make files of another user.
#[test]
fn c01_what_belongs_to_somebody_else_is_not_used() {
    if !geteuid().is_root() {
        return skip("root, who alone makes files of another user,");
    }
    let service = Service::logged_in();
    for path in touched(&service) {
        let before = fs::read(&path).ok();
        chown(&path, Some(STRANGER), Some(STRANGER)).unwrap();
        let outcome = finish(store_token(&service), TOKEN.as_bytes());
        assert!([5, 6, 1].contains(&outcome.code()), "{}: {outcome:?}", path.display());
        let said = &outcome.stderr;
        assert!(said.contains("belongs to another user"), "{}: {said}", path.display());
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((fs::read(&path).ok(), metadata.uid()), (before, STRANGER), "{}", path.display());
        chown(&path, Some(0), Some(0)).unwrap();
    }
    service.login(&["--force"]).expect(0);
}

/// What an attacker leaves where a file of ours should be.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Link,
    Dangling,
    HardLink,
    Fifo,
    Directory,
}

const PLANTS: [Plant; 5] = [Plant::Link, Plant::Dangling, Plant::HardLink, Plant::Fifo, Plant::Directory];

impl Plant {
    fn at(self, path: &Path, theirs: &Path) {
        fs::remove_file(path).unwrap();
        match self {
            Self::Link => symlink(theirs, path).unwrap(),
            Self::Dangling => symlink(theirs.with_extension("new"), path).unwrap(),
            Self::HardLink => fs::hard_link(theirs, path).unwrap(),
            Self::Fifo => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            Self::Directory => fs::create_dir(path).unwrap(),
        }
    }
}

/// Neither read through, nor written through, nor waited for; and a link's target stays as it is.
#[test]
fn c02_links_and_pipes_in_place_of_a_file_are_not_followed() {
    for plant in PLANTS {
        for place in 3..6 {
            let service = Service::logged_in();
            let path = touched(&service)[place].clone();
            let theirs = service.home.path().join("theirs");
            fs::write(&theirs, "theirs").unwrap();
            plant.at(&path, &theirs);
            let mut bridge = service.bridge();
            bridge.initialize();
            drop(bridge);
            let outcome = finish(store_token(&service), TOKEN.as_bytes());
            let what = format!("{plant:?} at {}: {outcome:?}", path.display());
            assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs", "{what}");
            assert!(!theirs.with_extension("new").exists(), "{what}");
            if outcome.status.success() && place != 5 {
                let metadata = fs::symlink_metadata(&path).unwrap();
                assert!(metadata.is_file() && metadata.nlink() == 1 && mode(&path) == 0o600, "{what}");
            }
            // A lock and a record that are somebody's doing are refused; an entry is made anew.
            let may_succeed = place == 4 || matches!(plant, Plant::HardLink);
            assert!(may_succeed || outcome.code() != 0, "{what}");
            assert!(!service.home.files().iter().any(|(_, bytes)| holds(bytes, TOKEN)), "{what}");
        }
    }
}

#[test]
fn c02_a_linked_directory_is_not_written_to() {
    for place in 0..3 {
        let service = Service::logged_in();
        let path = touched(&service)[place].clone();
        let elsewhere = service.home.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        if place == 2 {
            std::fs::remove_file(elsewhere.join(touched(&service)[5].file_name().unwrap())).unwrap();
        }
        let before = everything(&elsewhere);
        let outcome = finish(store_token(&service), TOKEN.as_bytes());
        assert_ne!(outcome.code(), 0, "{}: {outcome:?}", path.display());
        assert!(outcome.stderr.contains("symbolic link"), "{}", outcome.stderr);
        assert_eq!(everything(&elsewhere), before, "{}", path.display());
    }
}

/// The key that is generated beside the files.
#[test]
fn c02_a_link_in_place_of_the_key_is_not_followed() {
    let service = Service::new();
    let home = Home::bare();
    let state = home.path().join("home/state");
    fs::create_dir_all(&state).unwrap();
    let theirs = home.path().join("theirs");
    symlink(&theirs, state.join("encryption.key")).unwrap();
    let place = home.path().join("home").to_str().unwrap().to_owned();
    let home = home.with("MCP_FRONT_HOME", place).with("MCP_FRONT_STORE", "file");
    let set = ["tokens", "set", &service.server.url(), "--name", NAME];
    let outcome = home.run_with_input(set, TOKEN.as_bytes()).expect(5);
    assert!(outcome.stderr.contains("symbolic link"), "{}", outcome.stderr);
    assert!(!theirs.exists());
}

/// `arguments` where every file would be open to all.
fn with_open_mask(home: &Home, arguments: &[&str]) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\"", BINARY]).args(arguments);
    shell.env_clear().envs(home.environment()).current_dir(home.path());
    shell
}

/// A29: nobody else on the machine reads any of it.
#[test]
fn c03_files_are_private_whatever_the_mask() {
    for home in [Home::with_file_store(), Home::bare().with("MCP_FRONT_STORE", "file")] {
        let service = Service::new();
        let home = home.with("BROWSER", service.browser.executable());
        let url = service.server.url();
        finish(with_open_mask(&home, &["login", &url, "--name", NAME]), b"").expect(0);
        finish(with_open_mask(&home, &["refresh", NAME, "--force"]), b"").expect(0);
        finish(with_open_mask(&home, &["bridge", NAME, "--log-file", "logs/log"]), b"").expect(0);
        finish(with_open_mask(&home, &["tokens", "set", &url, "--force"]), TOKEN.as_bytes()).expect(0);
        let roots = [home.path().join("state"), home.path().join(".local/state/mcp-front")];
        let roots = roots.into_iter().chain([home.path().join("logs")]).filter(|root| root.exists());
        let found: Vec<_> = roots.flat_map(|root| everything(&root)).collect();
        assert!(found.iter().any(|path| path.extension().is_some_and(|end| end == "sealed")), "{found:?}");
        for path in found {
            let private = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), private, "{}", path.display());
        }
    }
}

/// What a process leaves that is killed in the middle of a write, under an open mask.
fn killed_in_a_write(service: &Service) -> Vec<PathBuf> {
    let failpoint = Failpoint::set(&service.home, "file-written");
    let mut command = with_open_mask(&service.home, &["tokens", "set", &service.server.url(), "--force"]);
    command.env(failpoint::VARIABLE, failpoint.value());
    let outcome = finish(command, TOKEN.as_bytes());
    assert!(failpoint.is_reached() && !outcome.status.success(), "{outcome:?}");
    temporary_files(service)
}

fn temporary_files(service: &Service) -> Vec<PathBuf> {
    let (paths, ..) = service.kept();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    everything(paths.state()).into_iter().filter(|path| name(path).starts_with(".new-")).collect()
}

/// No moment lies between a file's first byte and its mode.
#[test]
fn c03_a_file_is_private_from_its_first_byte() {
    let service = Service::logged_in();
    let left = killed_in_a_write(&service);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(fs::metadata(&left[0]).unwrap().len() > 0);
    assert_eq!(mode(&left[0]), 0o600);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "the login of before"), "the login of before");
}

#[test]
fn c04_temporary_files_lie_beside_their_file_under_random_names_and_go() {
    let service = Service::logged_in();
    let (paths, _, key) = service.kept();
    let mut left = killed_in_a_write(&service);
    left.extend(killed_in_a_write(&service));
    left.sort();
    left.dedup();
    assert_eq!(left.len(), 2, "no name comes twice: {left:?}");
    for path in &left {
        assert_eq!((path.parent(), mode(path)), (Some(paths.credentials().as_path()), 0o600));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.len() >= ".new-".len() + 6 && !name.contains(key.as_str()), "{name}");
        assert!(!holds(&fs::read(path).unwrap(), TOKEN), "{name}");
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(path).unwrap().set_modified(hour_ago).unwrap();
    }
    finish(store_token(&service), TOKEN.as_bytes()).expect(0);
    assert_eq!(temporary_files(&service), [""; 0].map(PathBuf::from));
}

/// Nothing goes where all users' temporary files are, and nothing stays behind.
#[test]
fn c04_the_common_temporary_directory_stays_empty() {
    let common = tempfile::tempdir().unwrap();
    let mut service = Service::new();
    service.home = service.home.with("TMPDIR", common.path().to_str().unwrap());
    service.login(&[]).expect(0);
    service.home.run(["refresh", NAME, "--force"]).expect(0);
    finish(store_token(&service), TOKEN.as_bytes()).expect(0);
    service.home.run(["logout", NAME]).expect(0);
    assert_eq!(everything(common.path()), [common.path()]);
    assert_eq!(temporary_files(&service), [""; 0].map(PathBuf::from));
}

fn holds(bytes: &[u8], part: &str) -> bool {
    memchr::memmem::find(bytes, part.as_bytes()).is_some()
}
