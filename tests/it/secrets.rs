//! No secret leaves the store: planted ones are looked for in everything that others can see, at
//! the most verbose log.

use rustix::process::Signal;
use serde_json::json;

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::browser::{Browser, redirect_of};
use crate::support::canaries::{Evidence, HEADER_VARIABLES, HOST_SECRET, HOST_VARIABLE, KEY_VARIABLE};
use crate::support::fetch;
use crate::support::gate::Gate;
use crate::support::home::{Home, write_private};
use crate::support::http_server::{Reply, Server};
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::scene::{LOGS, STATIC_TOKEN, Scene};
use crate::support::service::{NAME, Service};

/// Bar 6, A29: login by callback and by paste, refresh, listing and deleting, with an encrypted store.
#[test]
fn a_login_that_goes_well_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.log_in_by_callback(&[]);
        let seen = scene.service.browser.seen();
        assert!(seen.contains("HOME=") && seen.contains("/authorize?"), "{seen}");
        assert!(!seen.contains(KEY_VARIABLE), "{seen}");
        scene.evidence.add("the browser", seen);
        scene.log_in_by_paste().expect(0);
        scene.list();

        let mut bridge = scene.bridge(&[NAME]);
        bridge.initialize();
        scene.service.authorization.refuse_issued_access_tokens();
        let echoed = scene.look_while_held("refresh-child", || (bridge.echo(1, "hello"), bridge));
        assert_eq!(echoed.0, "hello");
        scene.leave(echoed.1);
        scene.list();
        scene.run(&["tokens", "delete", NAME, "--yes"], "").expect(0);
        scene.conclude();
    }
}

/// Bar 6, B12: a callback that is not this login's, and the pages that both end on.
#[test]
fn codes_of_callbacks_are_not_shown() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        let browser = Browser::watching();
        scene.service.home = scene.service.home.with("BROWSER", browser.executable());
        let mut login = Process::start(&mut scene.login_command(&[]));
        let right = redirect_of(&browser.opened());
        let mut wrong = right.clone();
        let foreign = ["canary-foreign-code", "canary-foreign-state"];
        wrong.query_pairs_mut().clear().append_pair("code", foreign[0]).append_pair("state", foreign[1]);
        let refused = fetch::get(&wrong).expect("an answer");
        assert_eq!(refused.status, 400);
        let accepted = fetch::get(&right).expect("an answer");
        assert!(login.wait().success());
        scene.evidence.add("stderr of login", login.stderr.to_end());
        scene.evidence.add("the pages", refused.text() + &accepted.text());
        let state =
            right.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
        scene.evidence.assert_free_of(&foreign.map(str::to_owned).into());
        let response = [refused.text(), accepted.text()].concat();
        assert!(state.is_some_and(|state| !response.contains(&state)));
        scene.conclude();
    }
}

/// Bar 6: fresh tokens that the service refuses again.
#[test]
fn a_token_that_is_refused_for_ever_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.log_in_by_callback(&[]);
        scene.service.authorization.revoke_access_for_ever();
        scene.fail_to_start(&[NAME]);
        scene.list();
        scene.conclude();
    }
}

/// Bar 6, B18: a static token, typed on stdin, sent, refused and deleted; and headers of the user's own.
#[test]
fn a_static_token_and_own_headers_leave_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        let url = scene.service.server.url();
        scene.run(&["tokens", "set", &url, "--name", NAME], &format!("{STATIC_TOKEN}\n")).expect(0);
        scene.list();
        let error = scene.fail_to_start(&[NAME]);
        assert!(error.to_string().contains("tokens set"), "{error}");
        let sent = scene.service.server.requests().pop().expect("a request");
        assert_eq!(sent.header("Authorization"), Some(format!("Bearer {STATIC_TOKEN}").as_str()));
        scene.list();
        scene.run(&["tokens", "delete", NAME, "--yes"], "").expect(0);

        let file = scene.service.home.path().join("headers");
        write_private(&file, &format!("X-Two: {STATIC_TOKEN}\n"));
        scene.own_files.push(file);
        let open = McpServer::open();
        let header = format!("X-One: ${{{HOST_VARIABLE}}}");
        let mut bridge = scene.bridge(&[&open.url(), "--header", &header, "--header-file", "headers"]);
        bridge.initialize();
        let sent = open.requests().pop().expect("a request");
        assert_eq!((sent.header("X-One"), sent.header("X-Two")), (Some(HOST_SECRET), Some(STATIC_TOKEN)));
        scene.evidence.look_at_processes();
        scene.leave(bridge);
        scene.conclude();
    }
}

/// Bar 6: what a registration hands out.
#[test]
fn a_registration_leaves_no_secret_behind() {
    let canaries = ["canary-registered+secret/=", "canary-registration+access/="];
    for log in LOGS {
        let mut scene = Scene::new(log);
        let registration = Server::start(move |request, responder| {
            let client = json!({
                "client_id": "registered",
                "client_secret": canaries[0],
                "client_secret_expires_at": 0,
                "registration_access_token": canaries[1],
                "redirect_uris": request.json()["redirect_uris"],
                "token_endpoint_auth_method": "client_secret_post",
            });
            responder.reply(&Reply::json(201, client.to_string()));
        });
        let endpoint = format!("{}/register", registration.origin());
        scene.service.authorization.set_metadata(json!({
            "registration_endpoint": endpoint,
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }));
        scene.client.clear();
        let browser = Browser::watching();
        scene.service.home = scene.service.home.with("BROWSER", browser.executable());
        let mut login = Process::start(&mut scene.login_command(&[]));
        assert!(browser.opened().query().is_some_and(|query| query.contains("client_id=registered")));
        scene.evidence.look_at_processes();
        scene.evidence.add("the browser", browser.seen());
        login.signal(Signal::INT);
        assert_eq!(login.wait().code(), Some(130));
        scene.evidence.add("stderr of login", login.stderr.to_end());
        scene.evidence.look_at_files(&scene.service.home, &scene.own_files);
        scene.evidence.assert_free_of(&canaries.map(str::to_owned).into());
        scene.conclude();
    }
}

/// Bar 6, C06: what a header's variables hold reaches the server, and neither a browser nor any other
/// helper of the bridge's.
#[test]
fn what_stands_in_headers_reaches_no_helper() {
    let values = ["canary-of-the-team-41", "canary-of-the-team-42"];
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let home = HEADER_VARIABLES
        .iter()
        .zip(values)
        .fold(Home::with_file_store(), |home, (name, value)| home.with(name, value));
    let mut evidence = Evidence::in_home(&home);
    let service = Service::of(authorization.clone(), server, home);
    let gate = Gate::default();
    authorization.fault(Fault::Hold(gate.clone()));
    let url = service.server.url();
    let headers = HEADER_VARIABLES.map(|name| format!("X-{}: ${{{name}}}", name.replace('_', "-")));
    let flags = ["--login", "--strict", "--header", &headers[0], "--header", &headers[1]];
    let mut bridge = Bridge::start(&service.home, &[&[url.as_str()][..], &flags].concat());
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| bridge.initialize());
        gate.wait_for_arrivals(1);
        let seen = evidence.look_at_processes();
        assert!(seen.iter().any(|line| line.contains("login-child")), "{seen:#?}");
        gate.open();
        assert!(answer.join().expect("an answer")["result"].is_object());
    });
    evidence.add("the browser", service.browser.seen());
    let sent = service.server.requests().pop().expect("a request");
    for (name, value) in HEADER_VARIABLES.iter().zip(values) {
        assert_eq!(sent.header(&format!("X-{}", name.replace('_', "-"))), Some(value));
    }
    evidence.assert_free_of(&values.map(str::to_owned).into());
}
