//! The public conformance suite, pinned in `tests/node`: its client scenarios, each with a server of
//! its own, against the bridge behind a host of either era; and its server scenarios, against a
//! server behind the bridge.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::support::browser::{Browser, follow};
use crate::support::fetch;
use crate::support::home::{BINARY, Home, Outcome, finish, finish_within};
use crate::support::node::{Node, NodeServer};
use crate::support::wire::Wire;

/// The suite's command line.
const SUITE: &str = "@modelcontextprotocol/conformance/dist/index.js";

/// How long a scenario, or all of a server's, may take: three Node processes and a login, on a machine that
/// runs other tests too. Each process in the chain gives up before the one that waits for it, so that the one
/// that hangs is the one that says so; the host's own limit is in `conformance-host.mjs`.
const SUITE_LIMIT: Duration = Duration::from_secs(100);
const CLIENT_LIMIT_MS: &str = "90000";

/// The host's era: how it opens.
#[derive(Clone, Copy, Debug)]
enum Host {
    /// With `initialize`.
    Legacy,
    /// With `server/discover`, falling back as 2026-07-28 specifies.
    Modern,
}

/// What is known of a scenario. One that passes without being listed as such fails its test, so that
/// the list is true.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Passes,
    /// It demands what the specification does not, and fails in nothing else: see [`TooStrict`].
    IsTooStrict,
}

/// What a scenario demands and the specification does not.
struct TooStrict {
    /// The method of the one message that fails.
    method: &'static str,
    /// What it fails.
    checks: &'static [&'static str],
}

/// `request-metadata` wants the metadata of 2026-07-28 on every POST; the first one is the `initialize`
/// of a host that opens so. A client of both eras "**MAY** detect which era the server implements by
/// attempting a modern request first" (2026-07-28, Streamable HTTP, "Backward Compatibility"): it need
/// not. On a server of both eras `initialize` works (versioning, "Compatibility Matrix"), and such a
/// host wants nothing else. Once the server is known, every POST carries the metadata.
const REQUEST_METADATA: TooStrict = TooStrict {
    method: "initialize",
    checks: &[
        "sep-2575-http-client-sends-version-header",
        "sep-2575-client-populates-meta",
        "sep-2575-client-sends-client-info",
    ],
};

/// One test a scenario and host: ``NAME "the/suite's name": with a legacy host, with a modern host``.
macro_rules! scenarios {
    ($revision:literal { $($test:ident $name:literal: $legacy:ident, $modern:ident;)* }) => {
        use super::{Host, Known, check, check_list};

        #[test]
        fn the_list_is_whole() {
            check_list($revision, &[$($name),*]);
        }
        mod legacy_host {
            use super::*;
            $(#[test] fn $test() { check($revision, $name, Host::Legacy, Known::$legacy); })*
        }
        mod modern_host {
            use super::*;
            $(#[test] fn $test() { check($revision, $name, Host::Modern, Known::$modern); })*
        }
    };
}

mod revision_2025_03_26 {
    scenarios! { "2025-03-26" {
        oauth_metadata_backcompat "auth/2025-03-26-oauth-metadata-backcompat": Passes, Passes;
        oauth_endpoint_fallback "auth/2025-03-26-oauth-endpoint-fallback": Passes, Passes;
    }}
}

mod revision_2025_11_25 {
    scenarios! { "2025-11-25" {
        initialize "initialize": Passes, Passes;
        tools_call "tools_call": Passes, Passes;
        elicitation_defaults "elicitation-sep1034-client-defaults": Passes, Passes;
        sse_retry "sse-retry": Passes, Passes;
        metadata_default "auth/metadata-default": Passes, Passes;
        metadata_var1 "auth/metadata-var1": Passes, Passes;
        metadata_var2 "auth/metadata-var2": Passes, Passes;
        metadata_var3 "auth/metadata-var3": Passes, Passes;
        basic_cimd "auth/basic-cimd": Passes, Passes;
        scope_from_www_authenticate "auth/scope-from-www-authenticate": Passes, Passes;
        scope_from_scopes_supported "auth/scope-from-scopes-supported": Passes, Passes;
        scope_omitted_when_undefined "auth/scope-omitted-when-undefined": Passes, Passes;
        scope_step_up "auth/scope-step-up": Passes, Passes;
        scope_retry_limit "auth/scope-retry-limit": Passes, Passes;
        token_endpoint_auth_basic "auth/token-endpoint-auth-basic": Passes, Passes;
        token_endpoint_auth_post "auth/token-endpoint-auth-post": Passes, Passes;
        token_endpoint_auth_none "auth/token-endpoint-auth-none": Passes, Passes;
        pre_registration "auth/pre-registration": Passes, Passes;
        json_schema_preservation "json-schema-2020-12-preservation": Passes, Passes;
    }}
}

mod revision_2026_07_28 {
    scenarios! { "2026-07-28" {
        tools_call "tools_call": Passes, Passes;
        request_metadata "request-metadata": IsTooStrict, Passes;
        metadata_default "auth/metadata-default": Passes, Passes;
        metadata_var1 "auth/metadata-var1": Passes, Passes;
        metadata_var2 "auth/metadata-var2": Passes, Passes;
        metadata_var3 "auth/metadata-var3": Passes, Passes;
        basic_cimd "auth/basic-cimd": Passes, Passes;
        scope_from_www_authenticate "auth/scope-from-www-authenticate": Passes, Passes;
        scope_from_scopes_supported "auth/scope-from-scopes-supported": Passes, Passes;
        scope_omitted_when_undefined "auth/scope-omitted-when-undefined": Passes, Passes;
        scope_step_up "auth/scope-step-up": Passes, Passes;
        scope_retry_limit "auth/scope-retry-limit": Passes, Passes;
        token_endpoint_auth_basic "auth/token-endpoint-auth-basic": Passes, Passes;
        token_endpoint_auth_post "auth/token-endpoint-auth-post": Passes, Passes;
        token_endpoint_auth_none "auth/token-endpoint-auth-none": Passes, Passes;
        pre_registration "auth/pre-registration": Passes, Passes;
        resource_mismatch "auth/resource-mismatch": Passes, Passes;
        offline_access_scope "auth/offline-access-scope": Passes, Passes;
        offline_access_not_supported "auth/offline-access-not-supported": Passes, Passes;
        authorization_server_migration "auth/authorization-server-migration": Passes, Passes;
        iss_supported "auth/iss-supported": Passes, Passes;
        iss_not_advertised "auth/iss-not-advertised": Passes, Passes;
        iss_supported_missing "auth/iss-supported-missing": Passes, Passes;
        iss_wrong_issuer "auth/iss-wrong-issuer": Passes, Passes;
        iss_unexpected "auth/iss-unexpected": Passes, Passes;
        iss_normalized "auth/iss-normalized": Passes, Passes;
        metadata_issuer_mismatch "auth/metadata-issuer-mismatch": Passes, Passes;
        client_request_state "sep-2322-client-request-state": Passes, Passes;
        http_standard_headers "http-standard-headers": Passes, Passes;
        http_custom_headers "http-custom-headers": Passes, Passes;
        http_invalid_tool_headers "http-invalid-tool-headers": Passes, Passes;
        json_schema_ref_no_deref "json-schema-ref-no-deref": Passes, Passes;
        json_schema_preservation "json-schema-2020-12-preservation": Passes, Passes;
    }}
}

/// Against the same server without the bridge in between.
#[test]
fn no_server_scenario_is_worse_through_the_bridge() {
    let Some(node) = Node::installed() else { return };
    let home = Home::with_file_store();
    let over_http = |stdio: &[&OsStr]| {
        let mut command = node.fixture("streamable-http.mjs");
        command.args(stdio).env_clear().envs(home.environment()).envs(node.environment());
        NodeServer::start(command)
    };
    let direct = over_http(&words(&node.fixture("conformance-server.mjs")));
    let bridged = over_http(&[BINARY.as_ref(), "bridge".as_ref(), direct.url.as_ref()]);
    let (control, through) = std::thread::scope(|scope| {
        let control = scope.spawn(|| server_scenarios(&node, &home, &direct.url));
        (server_scenarios(&node, &home, &bridged.url), control.join().unwrap())
    });
    assert_eq!(through, control);
}

/// What each server scenario says of the server at `url`, one line a scenario; none fails.
fn server_scenarios(node: &Node, home: &Home, url: &str) -> Vec<String> {
    let arguments = ["server", "--url", url, "--suite", "all", "--spec-version", "2025-11-25"];
    let said = finish_within(SUITE_LIMIT, suite(node, home, &arguments), b"").expect(0).stdout;
    let (_, summary) = said.split_once("=== SUMMARY ===").expect("a summary");
    let lines: Vec<_> = summary.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 30, "{summary}");
    lines
}

/// The executable and its arguments.
fn words(command: &Command) -> Vec<&OsStr> {
    std::iter::once(command.get_program()).chain(command.get_args()).collect()
}

/// The suite with `arguments`, in `home`.
fn suite(node: &Node, home: &Home, arguments: &[&str]) -> Command {
    let mut command = node.package(SUITE);
    command.args(arguments).env_clear().envs(home.environment()).envs(node.environment());
    command.current_dir(home.path());
    command
}

/// Runs one scenario, and holds its outcome against what is known of it.
fn check(revision: &str, scenario: &str, host: Host, known: Known) {
    let Some(node) = Node::installed() else { return };
    let browser = Browser::start(agree_or_cancel);
    let home = Home::with_file_store().with("BROWSER", browser.executable());
    let run = |environment: &[(&str, &str)]| {
        let client = node.fixture("conformance-host.mjs");
        let client =
            words(&client).iter().map(|word| format!("'{}'", word.display())).collect::<Vec<_>>().join(" ");
        let arguments = ["client", "--command", &client, "--scenario", scenario, "--spec-version", revision];
        let mut command = suite(&node, &home, &arguments);
        command.args(["--output-dir", "results", "--timeout", CLIENT_LIMIT_MS]);
        command.env("MCP_FRONT_TEST_BRIDGE", BINARY);
        command.env("MCP_FRONT_TEST_HOST", format!("{host:?}").to_lowercase());
        command.envs(environment.iter().copied());
        finish_within(SUITE_LIMIT, command, b"")
    };
    let passes = |outcome: Outcome| {
        assert!(
            outcome.status.success(),
            "{scenario} of {revision} with a {host:?} host:\n{}",
            outcome.stderr
        );
    };
    if known == Known::Passes {
        return passes(run(&[]));
    }
    let wire = Wire::to_the_one_named_in(home.path().join("server-url"));
    let environment = [("MCP_FRONT_TEST_WIRE", wire.url())];
    assert!(!run(&environment).status.success(), "{scenario} passes");
    for check in unmet(&home) {
        let is_excepted = |id: &str| REQUEST_METADATA.checks.contains(&id);
        // Of several that fail in the same way, the last one is told.
        let is_it = check["details"]["method"] == REQUEST_METADATA.method;
        assert!(is_it && check["id"].as_str().is_some_and(is_excepted), "{check}");
    }
    // The next host finds the server remembered.
    std::fs::remove_dir_all(home.path().join("results")).expect("the results are there");
    passes(run(&environment));
    assert_eq!(unmet(&home), Vec::<Value>::new());
}

/// What the scenario that was run found missing.
fn unmet(home: &Home) -> Vec<Value> {
    let mut files = home.files().into_iter();
    let (_, checks) = files.find(|(path, _)| path.ends_with("checks.json")).expect("the results");
    let checks: Vec<Value> = serde_json::from_slice(&checks).expect("a list of checks");
    checks.into_iter().filter(|check| check["status"] == "FAILURE" || check["status"] == "WARNING").collect()
}

/// Holds the scenarios above against those that the suite has for the revision: those that came with
/// it or still hold.
fn check_list(revision: &str, listed: &[&str]) {
    let Some(node) = Node::installed() else { return };
    let home = Home::bare();
    let text =
        finish(suite(&node, &home, &["list", "--client", "--spec-version", revision]), b"").expect(0).stdout;
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split(' ').next());
    assert_eq!(names.collect::<BTreeSet<_>>(), listed.iter().copied().collect());
}

/// A person who agrees; one who is shown that it came to nothing goes back and cancels, so that the
/// login ends with its test.
fn agree_or_cancel(authorization: &Url) {
    let landed = follow(authorization).expect("the authorization URL leads to the callback");
    if landed.status < 400 {
        return;
    }
    let asked = |name| authorization.query_pairs().find(|(key, _)| key == name).expect("a parameter").1;
    let issuer = authorization.origin().ascii_serialization();
    let cancelled = [("error", "access_denied"), ("state", &asked("state")), ("iss", &issuer)];
    let callback = Url::parse_with_params(&asked("redirect_uri"), cancelled).expect("a URL");
    fetch::get(&callback).expect("the login listens");
}
