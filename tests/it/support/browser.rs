//! The browser that a login opens: an executable that only reports the address, and a person
//! played by a thread of the test.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;
use url::Url;

use super::DEADLINE;
use super::fetch::{self, Response};

/// The most redirects that the person follows.
const REDIRECTS: usize = 10;

/// A fake browser; name [`executable`](Self::executable) in `BROWSER`.
pub(crate) struct Browser {
    directory: TempDir,
    opened: Mutex<mpsc::Receiver<Url>>,
}

impl Browser {
    /// A browser whose person looks at the address, and does nothing until the test does.
    pub(crate) fn watching() -> Self {
        Self::start(|_| {})
    }

    /// A browser whose person agrees to everything: it follows each address to its end.
    pub(crate) fn consenting() -> Self {
        Self::start(|url| {
            let followed = follow(url);
            assert!(followed.is_ok(), "{url} leads nowhere: {followed:?}");
        })
    }

    /// A browser whose person does `act` with each address.
    pub(crate) fn start(act: impl Fn(&Url) + Send + 'static) -> Self {
        let directory =
            tempfile::Builder::new().prefix("mcp-front-browser-").tempdir().expect("a temporary directory");
        let pipe = directory.path().join("opened");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
        let script = directory.path().join("browser");
        let seen = directory.path().join("seen");
        write_executable(
            &script,
            &format!(
                "#!/bin/sh\n\
                 {{ env; echo core limit $(ulimit -c); tr '\\0' '\\n' </proc/$PPID/environ; tr '\\0' ' ' </proc/$PPID/cmdline; \
                 echo \"$0 $*\"; }} >>'{}' 2>&1\nprintf '%s\\n' \"$1\" >'{}'\n",
                seen.display(),
                pipe.display()
            ),
        );
        let (sender, opened) = mpsc::channel();
        // Open for writing too, so that reading never ends between two tabs.
        let reader = OpenOptions::new().read(true).write(true).open(&pipe).expect("the pipe opens");
        std::thread::spawn(move || watch(reader, &sender, &act));
        Self { directory, opened: Mutex::new(opened) }
    }

    /// The value for `BROWSER`.
    pub(crate) fn executable(&self) -> String {
        self.directory.path().join("browser").to_string_lossy().into_owned()
    }

    /// The arguments and the environment that each tab was opened with, and those of its opener.
    pub(crate) fn seen(&self) -> String {
        let seen = std::fs::read(self.directory.path().join("seen")).expect("a tab was opened");
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Waits for the next tab.
    pub(crate) fn opened(&self) -> Url {
        self.opened.lock().unwrap().recv_timeout(DEADLINE).expect("a tab is opened")
    }

    /// How many tabs were opened that nobody asked after.
    pub(crate) fn tabs(&self) -> usize {
        self.opened.lock().unwrap().try_iter().count()
    }
}

fn watch(reader: File, sender: &mpsc::Sender<Url>, act: &dyn Fn(&Url)) {
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        let Ok(url) = Url::parse(&line) else { continue };
        if sender.send(url.clone()).is_err() {
            return;
        }
        act(&url);
    }
}

/// Follows `url` through its redirects, as a browser in which the person is signed in already; it
/// keeps each origin's cookies.
pub(crate) fn follow(url: &Url) -> std::io::Result<Response> {
    let mut url = url.clone();
    let mut cookies: BTreeMap<(String, String), String> = BTreeMap::new();
    for _ in 0..REDIRECTS {
        let origin = url.origin().ascii_serialization();
        let own = cookies.iter().filter(|((of, _), _)| *of == origin);
        let cookie: Vec<_> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        let response = fetch::send("GET", &url, &[("Cookie", &cookie.join("; "))], b"")?;
        let is_cookie = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("set-cookie");
        for (_, cookie) in response.headers.iter().filter(is_cookie) {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                cookies.insert((origin.clone(), name.to_owned()), value.to_owned());
            }
        }
        match response.header("Location") {
            Some(location) if (300..400).contains(&response.status) => {
                url = url.join(location).map_err(|_| std::io::ErrorKind::InvalidData)?;
            }
            _ => return Ok(response),
        }
    }
    Err(std::io::ErrorKind::TooManyLinks.into())
}

/// Where `url` redirects to, in one step.
pub(crate) fn redirect_of(url: &Url) -> Url {
    let response = fetch::get(url).expect("the authorization server answers");
    let location = response.header("Location").unwrap_or_else(|| panic!("no redirect: {}", response.text()));
    url.join(location).expect("a URL")
}

/// `url` with other parameters in place of its own of the same names; `None` leaves one out.
pub(crate) fn altered(url: &Url, changes: &[(&str, Option<&str>)]) -> Url {
    let is_own = |name: &str| !changes.iter().any(|(changed, _)| *changed == name);
    let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| is_own(name)).collect();
    let mut altered = url.clone();
    altered.set_query(None);
    for (name, value) in kept.iter().map(|(name, value)| (name.as_str(), value.as_str())) {
        altered.query_pairs_mut().append_pair(name, value);
    }
    for (name, value) in changes.iter().filter_map(|(name, value)| Some((*name, (*value)?))) {
        altered.query_pairs_mut().append_pair(name, value);
    }
    altered
}

/// The parameter `name` of `url`; fails the test where there is none.
#[track_caller]
pub(crate) fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    found.unwrap_or_else(|| panic!("no `{name}` in {url}"))
}

/// Writes a script that can be executed.
pub(crate) fn write_executable(path: &Path, text: &str) {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o700).open(path).expect("a new file");
    file.write_all(text.as_bytes()).expect("it is writable");
}
