//! `mcp-front status`, and `mcp-front` alone: what an operator learns, and what a monitor's probe says
//! by its exit code.

use std::fs;

use jiff::{Span, Timestamp, ToSpan};
use mcp_front::credential::Generation;
use mcp_front::server_uri::{ServerUri, ServiceKey};
use mcp_front::store::StoreKind;
use mcp_front::store::index::{Entry, EntryKind, Identity, SCHEMA, State};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::authorization_server::Fault;
use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::{Home, Outcome, write_private};
use crate::support::kept_login::{run, until};
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};
use crate::support::snapshot::assert_snapshot;

const FRONT: &str = "https://mcp.frontapp.com/mcp";

/// `status … --json`, whatever its exit code.
fn document(home: &Home, arguments: &[&str]) -> Value {
    let outcome = home.run([&["status", "--json"], arguments].concat());
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

fn only(home: &Home) -> Value {
    let services = document(home, &[])["services"].take();
    assert_eq!(services.as_array().map(Vec::len), Some(1), "{services}");
    services[0].clone()
}

fn pids(service: &Value) -> Vec<u64> {
    let bridges = service["bridges"].as_array().into_iter().flatten();
    bridges.map(|bridge| bridge["pid"].as_u64().expect("a process id")).collect()
}

/// A home in which a login of Front is listed whose refresh token was received so long ago. Its store
/// is a keychain that is not there.
fn front(obtained: Span) -> Home {
    let home = Home::bare().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let place = home.path().to_string_lossy().into_owned();
    let home = home.with("MCP_FRONT_HOME", place);
    let server = ServerUri::parse(FRONT, false).unwrap();
    let key = ServiceKey::new("default", &server);
    let now = Timestamp::now();
    let obtained = now.to_zoned(jiff::tz::TimeZone::UTC).checked_sub(obtained).unwrap().timestamp();
    let entry = Entry {
        schema: SCHEMA,
        key: key.clone(),
        identity: Identity::new("front", "default", &server, StoreKind::Keyring),
        kind: EntryKind::Oauth,
        generation: Generation::draw().unwrap(),
        deleted: false,
        renews: true,
        access_expires_at: Some(now + 30.minutes()),
        refresh_expires_at: None,
        refresh_obtained_at: Some(obtained),
        logged_in_at: obtained,
        last_refresh_at: Some(now - 30.minutes()),
        last_error: None,
        retry_at: None,
        state: State::Valid,
        binding: None,
        coming: None,
        also_in: None,
        scopes: vec!["feature:mcp".to_owned()],
    };
    let services = home.path().join("state/services");
    fs::create_dir_all(&services).unwrap();
    write_private(&services.join(format!("{key}.json")), &serde_json::to_string(&entry).unwrap());
    home
}

/// A bridge is listed while it runs, with the program that started it; one that was killed is not, and
/// leaves nothing for long.
#[test]
fn running_bridges_are_listed_and_killed_ones_are_not() {
    let service = Service::logged_in();
    assert_eq!(pids(&only(&service.home)), Vec::<u64>::new());
    let (mut first, mut second) = (service.bridge(), service.bridge());
    first.initialize();
    second.initialize();
    let seen = only(&service.home);
    let mut expected = [u64::from(first.process.id()), u64::from(second.process.id())];
    expected.sort_unstable();
    let mut found = pids(&seen);
    found.sort_unstable();
    assert_eq!(found, expected);
    let own_name = fs::read_to_string("/proc/self/comm").unwrap();
    let main_name = fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap_or(own_name);
    for bridge in seen["bridges"].as_array().unwrap() {
        assert_eq!(bridge["host"], main_name.trim_end(), "{bridge}");
        assert_eq!(bridge["version"], env!("CARGO_PKG_VERSION"));
        assert!(bridge["started_at"].as_str().unwrap().parse::<Timestamp>().unwrap() <= Timestamp::now());
    }
    let shown = service.home.run(["status", NAME]).expect(0).stdout;
    assert!(shown.contains(&format!("pid {}, started by", first.process.id())), "{shown}");

    let left = || fs::read_dir(service.home.path().join("state/running")).unwrap().count();
    let open = McpServer::open();
    let mut other = Bridge::start(&service.home, &[&open.url()]);
    other.initialize();
    let others = document(&service.home, &[])["other_bridges"].take();
    assert_eq!(others[0]["pid"], other.process.id(), "{others}");
    let shown = service.home.run(["status"]).expect(0).stdout;
    assert!(
        shown.contains(&format!(
            "Other bridges run on services of which nothing is stored\n  Without a login  pid {}",
            other.process.id()
        )),
        "{shown}"
    );
    drop(other);

    first.signal(Signal::KILL);
    first.wait();
    assert_eq!((pids(&only(&service.home)), left()), (vec![u64::from(second.process.id())], 1));
    second.close_stdin();
    assert!(second.wait().0.success());
    assert_eq!((pids(&only(&service.home)), left()), (Vec::new(), 0));
}

/// What a bridge shows is no business of its host: where it cannot, it works unseen.
#[test]
fn a_bridge_that_cannot_be_shown_works() {
    let service = Service::logged_in();
    fs::write(service.home.path().join("state/running"), "in the way").unwrap();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "unseen"), "unseen");
    let seen = service.home.run(["status"]).expect(0);
    assert!(seen.stdout.contains("none running"), "{}", seen.stdout);
    assert!(seen.stderr.contains("cannot tell which bridges are running"), "{}", seen.stderr);
}

/// The server's word on the refresh token's end, at either side of it.
#[test]
fn a_probe_fails_at_the_servers_end_and_not_before() {
    let service = Service::new();
    service.authorization.set_expiry(json!({"expires_in": 3600, "refresh_token_expires_in": 14 * 86_400}));
    service.login(&[]).expect(0);
    let probe = |within: &str| service.home.run(["status", NAME, "--fail-within", within]);
    let holds = probe("13d").expect(0);
    assert_eq!(holds.stderr, "");
    assert!(holds.stdout.contains("renews by itself until") && holds.stdout.contains("as the server says"));
    let ends = probe("14d").expect(4);
    assert!(ends.stderr.starts_with("error: within 14d, a login will be required for `service`\n"));
    assert!(
        ends.stderr.contains("refresh service --force`") && ends.stderr.contains("login service --force")
    );
    assert!(ends.stdout.starts_with("! service"), "{}", ends.stdout);
    // The server is asked about its own tokens, and a caller's guess changes nothing.
    let guess = ["status", "--fail-within", "13d", "--refresh-lifetime", "1d"];
    service.home.run(guess).expect(0);
    let json = document(&service.home, &["--fail-within", "2w"]);
    assert_eq!((&json["version"], &json["fail_within"]), (&json!(1), &json!("2w")));
    let told = &json["services"][0];
    assert_eq!((&told["probe"], &told["login_ends"]["by"]), (&json!("ends"), &json!("server")), "{told}");
}

/// Where nobody says, that is said, and fails only where it is to.
#[test]
fn an_unknown_end_fails_only_a_strict_probe() {
    let service = Service::logged_in();
    let probe = |more: &[&str]| service.home.run([&["status", NAME, "--fail-within", "14d"], more].concat());
    let unknown = probe(&[]).expect(0);
    assert!(unknown.stderr.contains("note: nobody says when the login of `service` ends"), "{unknown:?}");
    assert!(unknown.stdout.contains("unknown: the server does not say"), "{}", unknown.stdout);
    let strict = probe(&["--strict"]).expect(1);
    assert!(strict.stderr.starts_with("error: nobody says") && strict.stderr.contains("--refresh-lifetime"));
    probe(&["--strict", "--refresh-lifetime", "15d"]).expect(0);
    let ends = probe(&["--strict", "--refresh-lifetime", "13d"]).expect(4);
    assert!(ends.stdout.contains("as --refresh-lifetime says; counted from"), "{}", ends.stdout);
    for arguments in [
        &["--strict"][..],
        &["--fail-within", "0d"],
        &["--fail-within", "14"],
        &["--refresh-lifetime", "soon"],
    ] {
        service.home.run([&["status"], arguments].concat()).expect(2);
    }
}

/// Front does not say how long a refresh token lasts: six months from when it was received, as far as is
/// known; and a keychain is not asked for anything.
#[test]
fn fronts_six_months_count_from_the_last_rotation() {
    for (obtained, within, code) in [(1.month(), "14d", 0), (5.months(), "14d", 0), (5.months(), "32d", 4)] {
        let home = front(obtained);
        let outcome = home.run(["status", "front", "--fail-within", within]).expect(code);
        assert!(outcome.stdout.contains("as far as is known of this service; counted from"));
        assert!(outcome.stdout.contains("not checked, for the keychain might ask"), "{}", outcome.stdout);
        let told = &document(&home, &["front"])["services"][0];
        assert_eq!((&told["state"], &told["unsaved_rotation"]), (&json!("renews"), &json!("not_checked")));
        assert_eq!(told["login_ends"]["by"], "preset");
        assert!(told["known_of_service"].as_str().unwrap().contains("is not public"), "{told}");
    }
    let home = front(1.month());
    assert_snapshot("front-status.txt", &home.run(["status", "front"]).expect(0).stdout, &home, &[]);
    assert_snapshot("front-short.txt", &home.run::<&str>([]).expect(0).stdout, &home, &[]);
    let over = front(7.months());
    over.run(["status", "front"]).expect(0);
    over.run(["status", "front", "--fail-within", "1h"]).expect(4);
    // What somebody knows better wins over what is built in.
    over.run(["status", "front", "--fail-within", "1h", "--refresh-lifetime", "1y"]).expect(0);
    Home::with_file_store().run(["status", "front"]).expect(4);
}

/// `tokens list` says the same of each state, and a login that is needed is exit code 4.
#[test]
fn states_have_one_name_each() {
    let service = Service::with_expired_token();
    let states = |code: i32| {
        let listed = service.row()["state"].clone();
        let told = only(&service.home);
        assert_eq!(told["state"], listed);
        service.home.run(["status"]).expect(code);
        told
    };
    assert_eq!(states(0)["state"], "renews");
    service.authorization.revoke_grants();
    let mut bridge = service.strict_bridge();
    assert_eq!(bridge.refusal()["data"]["reason"], "login_required");
    let told = states(4);
    assert_eq!((&told["state"], &told["login_ends"]), (&json!("login_required"), &Value::Null));
    assert_eq!(told["last_error"]["code"], "invalid_grant", "{told}");
    let outcome = service.home.run(["status", NAME]).expect(4);
    assert!(outcome.stdout.starts_with("✗ service"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("login required: the authorization server ended the login"));
    assert!(
        outcome.stderr.starts_with("error: a login is required for `service`\nhint: run `"),
        "{outcome:?}"
    );

    let server = McpServer::open();
    let set = ["tokens", "set", &server.url(), "--name", "static"];
    service.home.run_with_input(set, b"canary-static").expect(0);
    let told = &document(&service.home, &["static"])["services"][0];
    assert_eq!((&told["state"], &told["kind"]), (&json!("static"), &json!("token")));
    service.home.run(["status", "static"]).expect(0);
    service.home.run(["status", "static", "--fail-within", "1d", "--strict"]).expect(1);
    // Nobody knows whether it wants a login.
    let told = &document(&service.home, &["https://other.example/mcp"])["services"][0];
    assert_eq!((&told["state"], &told["kind"]), (&json!("not_stored"), &Value::Null));
    service.home.run(["status", "https://other.example/mcp"]).expect(0);
    service.home.run(["status", "servic"]).expect(2);
}

/// A record that was deleted behind our back.
#[test]
fn a_missing_file_is_a_login_that_is_needed() {
    let service = Service::logged_in();
    for (path, _) in service.home.files() {
        if path.extension().is_some_and(|end| end == "sealed") {
            fs::remove_file(path).unwrap();
        }
    }
    let outcome = service.home.run(["status"]).expect(4);
    assert!(outcome.stdout.contains("its encrypted file is gone"), "{}", outcome.stdout);
}

/// An entry that cannot be read is no good news, and hides no other.
#[test]
fn a_damaged_entry_is_no_success() {
    let service = Service::logged_in();
    let server = McpServer::open();
    let set = ["tokens", "set", &server.url(), "--name", "static"];
    service.home.run_with_input(set, b"value").expect(0);
    fs::write(service.entry_file(), "{").unwrap();
    let outcome = service.home.run(["status"]).expect(5);
    assert!(outcome.stdout.starts_with("✓ static") && outcome.stderr.contains("is damaged"), "{outcome:?}");
    assert!(document(&service.home, &[])["unreadable"][0].as_str().unwrap().contains("is damaged"));
    let short = service.home.run::<&str>([]).expect(0);
    assert!(short.stdout.contains("static") && short.stderr.contains("is damaged"), "{short:?}");

    // Nor where the service is asked about alone, by its name or by its address.
    for target in [NAME, &service.server.url()] {
        let outcome = service.home.run(["status", target, "--fail-within", "14d"]).expect(5);
        assert!(
            outcome.stdout.starts_with("Settings") && outcome.stderr.contains("is damaged"),
            "{outcome:?}"
        );
        assert!(!outcome.stderr.contains("Nothing is stored"), "{outcome:?}");
        let document = document(&service.home, &[target, "--fail-within", "14d"]);
        assert!(document["unreadable"][0].as_str().unwrap().contains("is damaged"), "{document}");
        assert_eq!(document["services"], json!([]));
    }
}

/// G04: a refreshed login that the store does not take is shown, and no longer once it is saved. A
/// refresh under way, and one that was cut off, are told apart.
#[test]
fn an_unsaved_rotation_is_shown() {
    let service = Service::with_expired_token();
    let rotation = || only(&service.home)["unsaved_rotation"].clone();
    assert_eq!(rotation(), "none");
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let (place, away) = (service.home.path().join("state/credentials"), service.home.path().join("away"));
    std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| service.home.run(["refresh", NAME]));
        gate.wait_for_arrivals(1);
        assert_eq!(rotation(), "under_way");
        fs::rename(&place, &away).unwrap();
        fs::write(&place, "in the way").unwrap();
        gate.open();
        let said = refreshing.join().unwrap().expect(0);
        assert!(said.stdout.contains("the store did not take it yet"), "{}", said.stdout);
    });
    run(until("the note", || rotation() == "unsaved"));
    let shown = service.home.run(["status", NAME]).expect(0).stdout;
    assert!(shown.starts_with("! service") && shown.contains("yes: the store did not take"), "{shown}");
    fs::remove_file(&place).unwrap();
    fs::rename(&away, &place).unwrap();
    run(until("the save", || rotation() == "none"));
    assert_eq!(service.authorization.refreshes(), 1);

    run(service.leave_foreign_journal());
    assert_eq!(rotation(), "interrupted");
}

/// Each setting says who decided, and no secret is among them.
#[test]
fn settings_say_who_decided() {
    let service = Service::logged_in();
    let home = service.home.with("HTTPS_PROXY", "http://user:canary-password@127.0.0.1:9");
    let settings = document(&home, &["--profile", "default"])["settings"].take();
    let by = |setting: &str| {
        let found = settings.as_array().unwrap().iter().find(|entry| entry["setting"] == setting);
        found.map(|entry| (entry["source"].clone(), entry["by"].clone())).unwrap_or_default()
    };
    assert_eq!(by("profile"), (json!("flag"), json!("--profile")));
    assert_eq!(by("store for new logins"), (json!("environment"), json!("MCP_FRONT_STORE")));
    assert_eq!(by("encryption key"), (json!("environment"), json!("MCP_FRONT_ENCRYPTION_KEY_FILE")));
    assert_eq!(by("proxy for https"), (json!("environment"), json!("HTTPS_PROXY")));
    assert_eq!(by("transport"), (json!("default"), Value::Null));
    let shown = home.run(["status"]).expect(0).stdout;
    assert!(shown.contains("file (from the environment, MCP_FRONT_STORE)"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}

/// Without a command: where each login stands, and what one would run next; never a failure.
#[test]
fn no_command_is_a_short_status() {
    let empty = Home::with_file_store().run::<&str>([]).expect(0);
    for command in ["login front", "login URL", "demo"] {
        assert!(empty.stdout.contains(command), "{}", empty.stdout);
    }
    assert!(empty.stdout.starts_with("No login is stored"), "{}", empty.stdout);

    let service = Service::with_expired_token();
    let mut bridge = service.bridge();
    bridge.initialize();
    let short = Outcome::expect(service.home.run::<&str>([]), 0).stdout;
    let row = short.lines().find(|line| line.contains(NAME)).unwrap();
    assert!(row.starts_with('✓') && row.contains("renews by itself") && row.ends_with('1'), "{short}");
    assert!(short.contains("status service"), "{short}");
    service.authorization.revoke_grants();
    service.authorization.refuse_issued_access_tokens();
    bridge.refused(1);
    let short = service.home.run::<&str>([]).expect(0).stdout;
    assert!(short.contains("login required") && short.contains("login service --store file"), "{short}");
    let elsewhere = service.home.run(["--profile", "other"]).expect(0).stdout;
    assert!(elsewhere.contains("login URL --profile other "), "{elsewhere}");
    assert!(elsewhere.contains("Other profiles have 1 more"), "{elsewhere}");
    let help = service.home.run(["--help"]).expect(0).stdout;
    assert!(help.contains("Usage: mcp-front [OPTIONS] [COMMAND]"), "{help}");
    let _host: Bridge = bridge;
}

/// `change` made to what a home's one entry says.
fn edit_entry(home: &Home, change: impl FnOnce(&mut Value)) {
    let services = home.path().join("state/services");
    let file = fs::read_dir(&services).unwrap().next().unwrap().unwrap().path();
    let mut entry = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut entry);
    fs::remove_file(&file).unwrap();
    write_private(&file, &entry.to_string());
}

/// Where the refresh token ends first, the login is worth what is left of the access token.
#[test]
fn an_access_token_that_outlives_its_refresh_token_is_valid() {
    let home = front(1.day());
    edit_entry(&home, |entry| entry["refresh_expires_at"] = json!(Timestamp::now() + 5.minutes()));
    let service = only(&home);
    assert_eq!(service["state"], "renews", "{service}");
    assert_eq!(service["login_ends"]["at"], service["access_token_expires_at"]);
    home.run(["status", "--fail-within", "10m"]).expect(0);
    let ended = Timestamp::now() - 5.minutes();
    edit_entry(&home, |entry| entry["refresh_expires_at"] = json!(ended));
    let service = only(&home);
    assert_eq!(service["state"], "valid", "{service}");
    assert_eq!(service["login_ends"]["at"], service["access_token_expires_at"]);
    home.run(["status"]).expect(0);
    home.run(["status", "--fail-within", "1h"]).expect(4);
    edit_entry(&home, |entry| entry["access_expires_at"] = json!(ended));
    let service = only(&home);
    assert_eq!((&service["state"], &service["since"]), (&json!("login_required"), &json!(ended)));
    home.run(["status"]).expect(4);
}

/// A clock that was ahead when the login was made says nothing of its end: no monitor believes it.
#[test]
fn a_login_from_the_future_has_no_known_end() {
    for (ahead, is_known) in [(23.hours(), true), (400.days(), false)] {
        let home = front(-ahead);
        assert_eq!(only(&home)["login_ends"].is_object(), is_known, "{ahead}");
        let code = if is_known { 0 } else { 1 };
        home.run(["status", "--fail-within", "14d", "--strict"]).expect(code);
        let shown = home.run(["status"]).expect(0).stdout;
        assert_eq!(shown.contains("clock was ahead"), !is_known, "{shown}");
    }
}

/// A store that could not be read is told until somebody reads it: no monitor stays green meanwhile.
#[test]
fn a_store_that_could_not_be_read_is_told_until_it_is_read() {
    let service = Service::logged_in();
    let (key, away) = (service.home.key_file(), service.home.path().join("away"));
    fs::rename(&key, &away).unwrap();
    assert_eq!(only(&service.home)["last_error"], Value::Null);
    for _ in 0..2 {
        service.home.run(["refresh", NAME]).expect(5);
    }
    let told = only(&service.home);
    assert_eq!((&told["state"], &told["last_error"]["code"]), (&json!("renews"), &json!("store_unreadable")));
    let probed = service.home.run(["status", NAME, "--fail-within", "1m"]).expect(5);
    assert!(probed.stdout.starts_with('!') && probed.stdout.contains("encryption key"), "{}", probed.stdout);
    assert!(probed.stderr.contains(&format!("refresh {NAME}` tries again")), "{}", probed.stderr);
    let mut bridge = service.strict_bridge();
    assert_eq!(bridge.refusal()["data"]["reason"], "credential_store");
    assert_eq!(only(&service.home)["last_error"], told["last_error"], "noted once");
    fs::rename(&away, &key).unwrap();
    bridge.initialize();
    assert_eq!(only(&service.home)["last_error"], Value::Null);
    service.home.run(["status", NAME]).expect(0);
}
