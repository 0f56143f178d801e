//! A private D-Bus session with gnome-keyring in it, or without: nobody's own keychain is touched.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use zbus::blocking::Connection;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};

use super::home::{Home, finish};
use super::process::{Captured, Process};
use super::skip;

/// The name under which a keychain answers (freedesktop Secret Service).
pub(crate) const SECRETS: &str = "org.freedesktop.secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";

/// The password of every test's keychain.
const PASSWORD: &str = "keychain password";

/// A running session: the bus, and the keychain on it.
pub(crate) struct Session {
    keyring: Option<Process>,
    _bus: Process,
    directory: TempDir,
    address: String,
}

impl Session {
    /// A session whose keychain is open; `None` where the parts are missing.
    pub(crate) fn unlocked() -> Option<Self> {
        let mut session = Self::without_keychain()?;
        session.start_keyring(Some(PASSWORD));
        Some(session)
    }

    /// A session whose keychain has a locked default collection.
    pub(crate) fn locked() -> Option<Self> {
        let session = Self::unlocked()?;
        session.lock();
        Some(session)
    }

    /// A session with a bus and nobody on it who keeps secrets.
    pub(crate) fn without_keychain() -> Option<Self> {
        let directory =
            tempfile::Builder::new().prefix("mcp-front-bus-").tempdir().expect("a temporary directory");
        let socket = directory.path().join("bus");
        Self::listening_at(&socket, directory)
    }

    /// As [`without_keychain`](Self::without_keychain), with the bus's socket at `socket`.
    pub(crate) fn listening_at(socket: &Path, directory: TempDir) -> Option<Self> {
        let tools = ["dbus-daemon", "gnome-keyring-daemon", "secret-tool"];
        if let Some(missing) = tools.into_iter().find(|tool| !is_installed(tool)) {
            skip(missing);
            return None;
        }
        let configuration = directory.path().join("bus.conf");
        std::fs::write(&configuration, bus_configuration(socket)).expect("a writable directory");
        let mut command = Command::new("dbus-daemon");
        command.arg("--config-file").arg(&configuration).args(["--nofork", "--nopidfile", "--print-address"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut bus = Process::start(&mut command);
        let stdout = Captured::new(bus.child.stdout.take().expect("stdout is piped"));
        stdout.wait_for("the bus's address", |text| text.ends_with('\n'));
        let address = format!("unix:path={}", socket.display());
        Some(Self { keyring: None, _bus: bus, directory, address })
    }

    /// Starts gnome-keyring on the bus and opens its login collection with `password`; with none,
    /// what was there before stays locked.
    pub(crate) fn start_keyring(&mut self, password: Option<&str>) {
        let mut command = Command::new("gnome-keyring-daemon");
        command
            .args(["--foreground", "--components=secrets", "--control-directory"])
            .arg(self.directory.path());
        command.envs(self.variables()).stdin(Stdio::piped()).stdout(Stdio::null());
        if password.is_some() {
            command.arg("--unlock");
        }
        let mut keyring = Process::start(&mut command);
        let mut stdin = keyring.child.stdin.take().expect("stdin is piped");
        stdin.write_all(password.unwrap_or_default().as_bytes()).expect("the daemon reads its password");
        drop(stdin);
        self.keyring = Some(keyring);
        self.wait_for_owner(SECRETS);
    }

    /// As [`start_keyring`](Self::start_keyring), opening what [`unlocked`](Self::unlocked) made.
    pub(crate) fn start_keyring_with_the_password(&mut self) {
        self.start_keyring(Some(PASSWORD));
    }

    /// Ends the keychain, as a crash would; the bus stays.
    pub(crate) fn stop_keyring(&mut self) {
        self.keyring = None;
    }

    /// Halts the keychain: it stays on the bus, and answers nothing.
    pub(crate) fn stall_keyring(&self) {
        self.keyring.as_ref().expect("a running keychain").signal(rustix::process::Signal::STOP);
    }

    /// Locks the default collection.
    pub(crate) fn lock(&self) {
        let bus = self.connect();
        let secrets =
            zbus::blocking::Proxy::new(&bus, SECRETS, "/org/freedesktop/secrets", SERVICE).expect("a proxy");
        let collection = ObjectPath::try_from("/org/freedesktop/secrets/collection/login").expect("a path");
        let (locked, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            secrets.call("Lock", &(vec![collection],)).expect("the keychain locks");
        assert!(locked.len() == 1 && prompt.as_str() == "/", "the keychain asks before it locks");
    }

    /// A connection of the test's own to the bus.
    pub(crate) fn connect(&self) -> Connection {
        let builder =
            zbus::blocking::connection::Builder::address(self.address.as_str()).expect("an address");
        builder.build().expect("the bus answers")
    }

    /// Waits until somebody on the bus answers to `name`.
    fn wait_for_owner(&self, name: &'static str) {
        let bus = self.connect();
        let proxy = zbus::blocking::fdo::DBusProxy::new(&bus).expect("a proxy");
        let mut changes = proxy.receive_name_owner_changed_with_args(&[(0, name)]).expect("a subscription");
        if !proxy.name_has_owner(name.try_into().expect("a name")).expect("the bus answers") {
            changes.next().expect("the bus lives on");
        }
    }

    /// The environment that leads to this session.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let directory = self.directory.path().to_string_lossy().into_owned();
        [
            ("DBUS_SESSION_BUS_ADDRESS", self.address.clone()),
            ("XDG_DATA_HOME", directory.clone()),
            ("XDG_RUNTIME_DIR", directory),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// A home in this session, with the keychain as its store.
    pub(crate) fn home(&self) -> Home {
        Home::bare().with("DBUS_SESSION_BUS_ADDRESS", self.address.clone())
    }

    /// What `secret-tool` shows of the items whose `attribute` is `value`, secrets included.
    pub(crate) fn search(&self, attribute: &str, value: &str) -> String {
        let output = self.tool(["search", "--all", attribute, value]).output().expect("secret-tool runs");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// The secret of the item called `name`, as any program of the person gets it.
    pub(crate) fn lookup(&self, name: &str) -> String {
        let output = self.tool(["lookup", "service", "mcp-front", "username", &self.user(name)]).output();
        String::from_utf8(output.expect("secret-tool runs").stdout).expect("text")
    }

    /// Puts `secret` in the place of the item called `name`, as any program of the person can.
    pub(crate) fn plant(&self, name: &str, secret: &str) {
        let user = self.user(name);
        let _ = self.tool(["clear", "service", "mcp-front", "username", &user]).status();
        self.store(&["username", &user], secret);
    }

    /// Puts a second item called `name` beside the first.
    pub(crate) fn plant_beside(&self, name: &str, secret: &str) {
        self.store(&["username", &self.user(name), "another", "attribute"], secret);
    }

    /// The user name of an item of the installation that keeps the same service here.
    fn user(&self, name: &str) -> String {
        let (kept, key) = (self.search("service", "mcp-front"), name.split('.').next());
        let users = kept.lines().filter_map(|line| line.strip_prefix("attribute.username = "));
        let mut places = users.filter_map(|user| user.split_once('@'));
        let place = places.find(|(item, _)| item.split('.').next() == key);
        format!("{name}@{}", place.expect("an item of the service").1)
    }

    fn store(&self, attributes: &[&str], secret: &str) {
        let mut command = self.tool(["store", "--label=planted", "service", "mcp-front"]);
        command.args(attributes);
        finish(command, secret.as_bytes()).expect(0);
    }

    /// Deletes the items whose `attribute` is `value`, as a person does.
    pub(crate) fn clear(&self, attribute: &str, value: &str) {
        assert!(self.tool(["clear", attribute, value]).status().expect("secret-tool runs").success());
    }

    fn tool<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new("secret-tool");
        command.args(arguments).envs(self.variables()).stdin(Stdio::null());
        command
    }
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

/// A session bus without service activation: nobody is started who was not asked for.
fn bus_configuration(socket: &Path) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        socket.display()
    )
}
