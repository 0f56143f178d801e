//! Secrets stay where they belong: canaries are issued, used, refused and logged about at the most
//! verbose level, and looked for everywhere else.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::support::authorization_server::{CLIENT_ID, CLIENT_SECRET, Fault};
use crate::support::browser::Browser;
use crate::support::gate::Gate;
use crate::support::home::{BINARY, ENCRYPTION_KEY, Home};
use crate::support::http_server::Reply;
use crate::support::service::{NAME, Service};

/// Says everything that can be said.
const VERBOSE: &str = "trace";

/// Text that was gathered, and where.
#[derive(Default)]
struct Gathered(Vec<(String, Vec<u8>)>);

impl Gathered {
    fn add(&mut self, place: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.push((place.into(), content.into()));
    }

    /// The arguments and environments of every process of the binary in `home`.
    fn add_processes(&mut self, home: &Path) -> usize {
        let mut count = 0;
        for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
            let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
            let is_ours =
                std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == Path::new(BINARY));
            let environment = read("environ");
            if is_ours && contains(&environment, home.to_string_lossy().as_bytes()) {
                count += 1;
                self.add(format!("arguments of {:?}", entry.file_name()), read("cmdline"));
                self.add(format!("environment of {:?}", entry.file_name()), environment);
            }
        }
        count
    }

    /// Fails where any of `secrets`, or its Basic or URL-encoded form, was seen.
    fn check(&self, secrets: &[String]) {
        let mut forms = secrets.to_vec();
        forms.push(BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        assert!(forms.iter().all(|form| form.len() > 8), "{forms:?}");
        for (place, content) in &self.0 {
            for form in &forms {
                let seen = contains(content, form.as_bytes());
                assert!(!seen, "{place} shows `{form}`:\n{}", String::from_utf8_lossy(content));
            }
        }
    }
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

/// A28, A29: login, calls, refresh, refusal, failure and listing, with every secret a canary.
#[test]
fn canaries_are_in_the_store_and_on_the_wire_and_nowhere_else() {
    let mut service = Service::front_like();
    service.home = service.home.with("MCP_FRONT_LOG", VERBOSE);
    let mut gathered = Gathered::default();

    let login = service.login(&["-vvvv"]).expect(0);
    gathered.add("stdout of login", login.stdout);
    gathered.add("stderr of login", login.stderr);
    gathered.add("the browser's environment", service.browser.environment());

    let mut bridge = service.bridge();
    bridge.initialize();
    bridge.echo(1, "fine");
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    service.authorization.refuse_issued_access_tokens();
    bridge.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo"}}"#);
    gate.wait_for_arrivals(1);
    let processes = gathered.add_processes(service.home.path());
    assert!(processes >= 2, "the bridge and its refresh: {processes}");
    gate.open();
    bridge.response(&serde_json::json!(2));

    // A server whose error page repeats what it was sent.
    let echoed = service.authorization.secrets().join(" ");
    service.authorization.fault(Fault::Reply(Reply::html(500, &format!("<html>{echoed}</html>"))));
    service.authorization.refuse_issued_access_tokens();
    let failed = bridge.call(3, "tools/call", serde_json::json!({"name": "echo"}));
    service.authorization.revoke_grants();
    let ended = bridge.call(4, "tools/call", serde_json::json!({"name": "echo"}));
    gathered.add("stdout of the bridge", format!("{failed}{ended}"));
    bridge.close_stdin();
    let (_, rest) = bridge.wait();
    gathered.add("stdout of the bridge", rest.concat());
    let logged = bridge.process.stderr.to_end();
    assert!(contains(&logged, b"DEBUG mcp_front"), "the log is verbose");
    gathered.add("stderr of the bridge", logged);

    for arguments in [&["tokens", "list", "--json", "-vvvv"][..], &["tokens", "list", "-vvvv"]] {
        let listed = service.home.run(arguments).expect(0);
        gathered.add("tokens list", listed.stdout + &listed.stderr);
    }
    let allowed = ["client-secret", "encryption-key"].map(|name| service.home.path().join(name));
    for (path, content) in service.home.files().into_iter().filter(|(path, _)| !allowed.contains(path)) {
        gathered.add(path.display().to_string(), content);
    }
    let mut secrets = service.authorization.secrets();
    secrets.extend([ENCRYPTION_KEY.to_owned(), "canary-session-1".to_owned()]);
    assert!(secrets.len() >= 8, "{secrets:?}");
    gathered.check(&secrets);
}

/// The key that the user gave in a variable goes to no browser, and stays out of every text.
#[test]
fn a_key_in_the_environment_goes_no_further() {
    let mut service = Service::new();
    service.home = Home::bare()
        .with("BROWSER", service.browser.executable())
        .with("MCP_FRONT_STORE", "file")
        .with("MCP_FRONT_ENCRYPTION_KEY", ENCRYPTION_KEY)
        .with("MCP_FRONT_LOG", VERBOSE);
    let mut gathered = Gathered::default();
    let login = service.login(&["-vvvv"]).expect(0);
    gathered.add("login", login.stdout + &login.stderr);
    gathered.add("the browser's environment", service.browser.environment());
    for (path, content) in service.home.files() {
        gathered.add(path.display().to_string(), content);
    }
    let mut secrets = service.authorization.secrets();
    secrets.push(ENCRYPTION_KEY.to_owned());
    gathered.check(&secrets);
    assert_eq!(service.browser.tabs(), 1);
}

/// A callback with a code that is not ours: neither it nor the code of a denied login is shown.
#[test]
fn codes_of_refused_callbacks_are_not_shown() {
    let mut service = Service::new();
    let browser = Browser::watching();
    service.home = service.home.with("BROWSER", browser.executable()).with("MCP_FRONT_LOG", VERBOSE);
    let mut login = crate::support::process::Process::start(
        &mut service.home.command(service.login_arguments(&["-vvvv"])),
    );
    let right = crate::support::browser::redirect_of(&browser.opened());
    let mut wrong = right.clone();
    wrong
        .query_pairs_mut()
        .clear()
        .append_pair("code", "canary-foreign-code")
        .append_pair("state", "canary-state");
    let page = crate::support::fetch::get(&wrong).expect("an answer");
    assert_eq!(page.status, 400);
    let good = crate::support::fetch::get(&right).expect("an answer");
    assert!(login.wait().success());
    let mut gathered = Gathered::default();
    gathered.add("stderr", login.stderr.to_end());
    gathered.add("the pages", page.text() + &good.text());
    let mut secrets = service.authorization.secrets();
    secrets.extend(["canary-foreign-code", "canary-state"].map(str::to_owned));
    gathered.check(&secrets);
    assert_eq!(service.row()["name"], NAME);
}
