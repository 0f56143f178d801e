//! Servers that say aloud what they were sent: none of it is repeated in errors, logs or files.

use serde_json::json;

use crate::support::authorization_server::{CLIENT_SECRET, Fault, TokenRequest};
use crate::support::canaries::{said_aloud, secrets_in};
use crate::support::http_server::Reply;
use crate::support::scene::{LOGS, Scene};
use crate::support::service::NAME;

/// A token endpoint's answer that repeats what it was sent, as `answer` puts it.
fn repeating(answer: impl FnOnce(&str) -> Reply + Send + 'static) -> Fault {
    Fault::Answer(Box::new(move |request: &TokenRequest| {
        let client = request.authorization.iter().map(|_| CLIENT_SECRET.to_owned());
        answer(&said_aloud(&secrets_in(request).into_iter().chain(client).collect::<Vec<_>>()))
    }))
}

/// A refusal of RFC 6749 with a description.
fn described(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, json!({"error": error, "error_description": description}).to_string())
}

/// What a token endpoint can do wrong without ending the login.
const CARELESS: [fn(&str) -> Reply; 12] = [
    |aloud| Reply::html(500, &format!("<h1>{aloud}</h1>")),
    |aloud| described(500, "server_error", aloud),
    |aloud| Reply::json(200, format!("no JSON: {aloud}")),
    |aloud| described(200, "temporarily_unavailable", aloud),
    |aloud| Reply::json(200, json!({"token_type": aloud, "expires_in": aloud}).to_string()),
    |aloud| described(400, "invalid_request", aloud),
    // Whatever is cut off at the end must not leave half a secret there.
    |aloud| described(400, "invalid_request", &format!("{}{aloud}", "x".repeat(490))),
    |aloud| Reply::json(400, json!({"error": aloud}).to_string()),
    |aloud| Reply::json(400, json!({"error": {"code": aloud, "message": aloud}}).to_string()),
    |aloud| Reply::status(302).header("Location", format!("http://127.0.0.1:1/?{aloud}")),
    |aloud| described(429, "slow_down", aloud).header("Retry-After", aloud),
    |aloud| described(400, "invalid_request", "").header("Content-Encoding", aloud),
];

/// Bar 6, A28: a token endpoint that fails, and says aloud what it was sent.
#[test]
fn a_refresh_that_fails_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.log_in_by_callback(&[]);
        scene.service.authorization.refuse_issued_access_tokens();
        for reply in CARELESS {
            scene.service.authorization.script(move || vec![repeating(reply)]);
            assert_ne!(scene.run(&["refresh", NAME, "--force"], "").code(), 0);
            scene.list();
        }
        // What a host is told while that lasts.
        let refusal = || vec![repeating(|aloud| described(400, "invalid_request", aloud))];
        scene.service.authorization.script(refusal);
        let mut bridge = scene.bridge(&[NAME]);
        scene.evidence.add("the stand-in", bridge.initialize().to_string());
        let tool = bridge.tools(1).pop().expect("a tool that says what is wrong");
        let told = bridge.call(2, "tools/call", json!({"name": tool})).to_string();
        assert!(told.contains("cannot be renewed now"), "{told}");
        scene.evidence.add("the stand-in's word", told);
        scene.leave(bridge);
        scene.service.authorization.script(Vec::new);
        for error in ["invalid_client", "invalid_grant"] {
            scene.service.authorization.fault(repeating(move |aloud| described(400, error, aloud)));
            scene.fail_to_start(&[NAME]);
            scene.list();
            assert_eq!(scene.service.row()["state"], "login_required");
            scene.log_in_by_callback(&["--force"]);
            scene.service.authorization.refuse_issued_access_tokens();
        }
        scene.conclude();
    }
}

/// Bar 6: an exchange that fails, and says aloud what it was sent.
#[test]
fn an_exchange_that_fails_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        for error in ["invalid_grant", "invalid_client", "invalid_request", "server_error"] {
            scene.service.authorization.fault(repeating(move |aloud| described(400, error, aloud)));
            assert_ne!(scene.log_in_by_paste().code(), 0);
        }
        scene.list();
        scene.conclude();
    }
}

/// Bar 6: a revocation that fails, and says aloud what it was sent.
#[test]
fn a_logout_that_fails_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.service.authorization.publish_revocation();
        for reply in CARELESS {
            scene.log_in_by_callback(&[]);
            // The refresh token, once more where there was no verdict, and then the access token.
            for _ in 0..3 {
                scene.service.authorization.fault_revocation(repeating(reply));
            }
            // A status of success says that all is revoked, whatever else it says.
            let outcome = scene.run(&["logout", NAME], "");
            assert!([0, 3].contains(&outcome.code()), "{outcome:?}");
            scene.service.authorization.clear_faults();
        }
        scene.list();
        scene.conclude();
    }
}

/// Bar 6: a login that the bridge starts, in a process of its own and, for the memory store, within.
#[test]
fn a_login_of_the_bridges_own_leaves_no_secret_behind() {
    for log in LOGS {
        for store in ["file", "memory"] {
            let mut scene = Scene::new(log);
            let url = scene.service.server.url();
            let client: Vec<_> = scene.client.clone();
            let mut arguments = vec![url.as_str(), "--login", "--store", store];
            arguments.extend(client.iter().map(String::as_str));
            let mut bridge = scene.bridge(&arguments);
            let waiting = if store == "file" { "login-child" } else { "bridge" };
            let mut bridge = scene.look_while_held(waiting, move || {
                bridge.initialize();
                bridge
            });
            assert_eq!(bridge.echo(1, "hello"), "hello");
            scene.evidence.add("the browser", scene.service.browser.seen());
            scene.service.authorization.refuse_issued_access_tokens();
            let waiting = if store == "file" { "refresh-child" } else { "bridge" };
            let mut bridge = scene.look_while_held(waiting, move || {
                assert_eq!(bridge.echo(2, "again"), "again");
                bridge
            });
            // The grant is over, and the person does not log in again.
            scene.service.authorization.refuse_issued_access_tokens();
            scene.service.authorization.fault(repeating(|aloud| described(400, "invalid_grant", aloud)));
            scene.service.authorization.deny();
            let answer = bridge.call(3, "tools/call", json!({"name": "echo"}));
            assert!(answer["error"].is_object(), "{answer}");
            scene.evidence.add("error of bridge", answer.to_string());
            scene.leave(bridge);
            scene.list();
            scene.conclude();
        }
    }
}
