//! No secret leaves the store: planted ones are looked for in everything that others can see, at
//! the most verbose log.

use rustix::process::Signal;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::canaries::{HOST_SECRET, HOST_VARIABLE};
use crate::support::home::write_private;
use crate::support::http_server::{Reply, Server};
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::scene::{LOGS, STATIC_TOKEN, Scene};
use crate::support::service::NAME;

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
