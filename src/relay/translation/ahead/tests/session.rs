//! What a session has once for all, and several requests of the host's want at once: its subscriptions to
//! resources, and its log level.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::listens::OPENING_LIMIT;
use super::{Table, json as parsed, said};

/// What the server is asked, with the id and what it is about.
fn asked(said: &str) -> (String, String, Value) {
    let frame = parsed(said.strip_prefix("S ").map(|_| said).unwrap_or_else(|| panic!("not asked: {said}")));
    let text = |name: &str| frame[name].as_str().unwrap().to_owned();
    (text("id"), text("method"), frame["params"]["uri"].clone())
}

/// What the one thing that is said asks the server; its id.
#[track_caller]
fn only(said: &[String], method: &str, uri: &str) -> String {
    let [one] = said else { panic!("{said:?}") };
    let (id, asked_method, asked_uri) = asked(one);
    assert_eq!((asked_method.as_str(), asked_uri), (method, json!(uri)), "{one}");
    id
}

/// The id of the request that is called off; none where it is something else.
fn cancelled(said: &str) -> String {
    let frame = parsed(said);
    assert_eq!(frame["method"], "notifications/cancelled", "{said}");
    frame["params"]["requestId"].as_str().unwrap_or_default().to_owned()
}

/// The resources that the host is told are subscribed to, by subscription.
fn agreed(said: &[String]) -> Vec<(Value, Value)> {
    let told = said.iter().filter(|one| one.contains("notifications/subscriptions/acknowledged"));
    let params = told.map(|one| parsed(one)["params"].clone());
    let agreed = params.map(|params| {
        let id = params["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
        (id, params["notifications"]["resourceSubscriptions"].clone())
    });
    agreed.collect()
}

impl Table {
    fn listen(&mut self, id: u64, uris: &[&str]) -> Vec<String> {
        let uris = json!(uris);
        self.host(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"subscriptions/listen","params":{{"notifications":{{"resourceSubscriptions":{uris}}},META}}}}"#
        ))
    }

    fn cancel(&mut self, id: u64) -> Vec<String> {
        self.host(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        ))
    }

    fn done(&mut self, id: &str) -> Vec<String> {
        self.server(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{}}}}"#))
    }

    fn failed(&mut self, id: &str, code: i32) -> Vec<String> {
        self.server(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","error":{{"code":{code},"message":""}}}}"#))
    }

    fn call_at(&mut self, id: u64, level: &str) -> Vec<String> {
        self.host(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/logLevel":"{level}"}}}}}}"#
        ))
    }
}

/// Two requests at once may be acted on in either order.
#[test]
fn a_resource_is_asked_for_one_thing_after_another() {
    let mut table = Table::in_session();
    let subscribed = only(&table.listen(1, &["a"]), "resources/subscribe", "a");
    assert!(table.listen(2, &["a"]).is_empty(), "it is not agreed to yet");
    assert!(table.cancel(1).is_empty(), "another wants it");
    assert_eq!(agreed(&table.done(&subscribed)), [(json!(2), json!(["a"]))]);
    assert_eq!(agreed(&table.listen(3, &["a"])), [(json!(3), json!(["a"]))]);
    assert!(table.cancel(2).is_empty());

    let left = only(&table.cancel(3), "resources/unsubscribe", "a");
    assert!(table.listen(4, &["a"]).is_empty(), "it is being left");
    let again = only(&table.done(&left), "resources/subscribe", "a");
    assert!(table.cancel(4).is_empty(), "it is being asked for");
    let left = only(&table.done(&again), "resources/unsubscribe", "a");
    assert!(table.done(&left).is_empty());
    only(&table.listen(5, &["a"]), "resources/subscribe", "a");
}

#[test]
fn a_resource_that_is_refused_is_left_out_for_all_who_want_it() {
    let mut table = Table::in_session();
    let [a, b] = &table.listen(1, &["a", "b"])[..] else { panic!("two") };
    let ((a, ..), (b, ..)) = (asked(a), asked(b));
    assert!(table.listen(2, &["a"]).is_empty());
    assert_eq!(agreed(&table.failed(&a, -32602)), [(json!(2), Value::Null)]);
    assert_eq!(agreed(&table.done(&b)), [(json!(1), json!(["b"]))]);
    only(&table.listen(3, &["a"]), "resources/subscribe", "a");
    let left = only(&table.cancel(1), "resources/unsubscribe", "b");
    let again = only(
        &{
            table.listen(4, &["b"]);
            table.failed(&left, -32603)
        },
        "resources/subscribe",
        "b",
    );
    assert_eq!(agreed(&table.done(&again)), [(json!(4), json!(["b"]))]);
}

#[test]
fn a_server_that_never_answers_is_asked_anew() {
    let late = OPENING_LIMIT;
    let mut table = Table::in_session();
    let lost = only(&table.listen(1, &["a"]), "resources/subscribe", "a");
    assert_eq!(agreed(&table.after(late)), [(json!(1), json!(["a"]))], "it will agree some time");
    let asked_anew = table.listen(2, &["a"]);
    assert_eq!(cancelled(&asked_anew[0]), lost);
    let again = only(&asked_anew[1..], "resources/subscribe", "a");
    assert!(table.done(&lost).is_empty(), "that one counts no more");
    assert_eq!(agreed(&table.done(&again)), [(json!(2), json!(["a"]))]);
    assert!(table.cancel(1).is_empty());
    only(&table.cancel(2), "resources/unsubscribe", "a");
    assert_eq!(agreed(&table.listen(3, &["a"])), [], "it is being left");
    table.now += late;
    only(&table.listen(4, &["a"])[1..], "resources/subscribe", "a");
    table.cancel(3);
    table.now += late;
    only(&table.cancel(4)[1..], "resources/unsubscribe", "a");
}

#[test]
fn what_is_never_answered_takes_no_room_for_ever() {
    let mut table = Table::in_session();
    let uris: Vec<_> = (0..900).map(|number| number.to_string()).collect();
    let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    assert_eq!(table.listen(1, &uris).len(), 900);
    assert!(table.cancel(1).is_empty());
    assert!(table.listen(2, &uris).is_empty(), "they take room once");
    assert!(table.cancel(2).is_empty());
    let others: Vec<_> = (1000..1900).map(|number| number.to_string()).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let too_many = table.listen(3, &others);
    assert!(matches!(&too_many[..], [one] if parsed(one)["error"]["code"] == -32603), "{too_many:?}");
    table.now += OPENING_LIMIT;
    let said = table.listen(4, &others);
    assert_eq!(said.len(), 1800, "and each of the others is called off");
    assert!(said[..900].iter().all(|one| !cancelled(one).is_empty()));
}

/// Its acknowledgement cannot be taken back.
#[test]
fn a_late_refusal_leaves_what_stands_as_it_was_told() {
    let mut table = Table::in_session();
    let late = only(&table.listen(1, &["a"]), "resources/subscribe", "a");
    table.after(OPENING_LIMIT);
    assert!(table.failed(&late, -32603).is_empty());
    let again = only(&table.listen(2, &["a"]), "resources/subscribe", "a");
    assert_eq!(agreed(&table.done(&again)), [(json!(2), json!(["a"]))]);
    let updated = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a"}}"#;
    assert_eq!(table.server(updated).len(), 2, "both hear of it");
}

/// The level that the server is asked to set, with the id.
#[track_caller]
fn level(said: &[String]) -> (String, Value) {
    let [one] = said else { panic!("{said:?}") };
    let frame = parsed(one);
    assert_eq!(frame["method"], "logging/setLevel", "{one}");
    (frame["id"].as_str().unwrap().to_owned(), frame["params"]["level"].clone())
}

#[test]
fn no_request_silences_another() {
    let mut table = Table::in_session();
    let (set, wanted) = level(&table.call_at(1, "debug"));
    assert_eq!(wanted, "debug");
    assert!(table.call_at(2, "error").is_empty(), "it waits");
    assert_eq!(table.done(&set).len(), 2, "both go");
    assert_eq!(table.call_at(3, "error").len(), 1, "the first still reads all");
    table.server(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let (set, wanted) = level(&table.call_at(4, "warning"));
    assert_eq!(wanted, "warning", "nobody reads more by now");
    assert!(table.done(&set)[0].contains(r#""method":"tools/call""#));
}

#[test]
fn a_level_that_was_not_set_is_asked_for_again_unless_the_server_has_none() {
    let mut table = Table::in_session();
    for (id, code) in [(1, -32603), (2, -32000), (3, -32601)] {
        let (set, _) = level(&table.call_at(id, "debug"));
        let gone = table.failed(&set, code);
        assert!(matches!(&gone[..], [one] if one.contains(r#""method":"tools/call""#)), "{gone:?}");
    }
    let gone = table.call_at(4, "error");
    assert!(matches!(&gone[..], [one] if one.contains(r#""method":"tools/call""#)), "{gone:?}");
}

#[test]
fn a_level_that_is_never_set_holds_nobody_up() {
    let late = Duration::from_secs(10);
    let is_call = |said: &String| said.contains(r#""method":"tools/call""#);
    let mut table = Table::in_session();
    let (set, _) = level(&table.call_at(1, "debug"));
    assert!(table.call_at(2, "error").is_empty());
    assert_eq!(table.machine.deadline(), Some(table.now + late));
    let gone = table.after(late);
    assert_eq!(cancelled(&gone[0]), set);
    assert!(gone.len() == 3 && gone[1..].iter().all(is_call), "{gone:?}");
    assert!(table.done(&set).is_empty(), "nobody waits for it any more");
    let gone = table.call_at(3, "info");
    assert!(gone.len() == 1 && gone.iter().all(is_call), "it is not asked again: {gone:?}");

    let mut table = Table::in_session();
    level(&table.call_at(3, "info"));
    let ended = said(table.machine.abandon());
    assert_eq!((ended.len(), &parsed(&ended[0])["error"]["data"]["mayHaveExecuted"]), (1, &json!(false)));
}
