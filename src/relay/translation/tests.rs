//! Which members change, in each direction, and that none else does.

use bytes::Bytes;

use super::introduction::{Discovered, Introduction, Offers, Unsayable};
use super::results::{Answer, Said, said};
use super::retired::{Fate, is_retired};
use super::rounds::{Asks, Round, Unaskable};
use crate::jsonrpc::Message;
use crate::jsonrpc::edit::Repeated;
use crate::relay::tells::Tells;

fn message(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// An answer as the host gets it.
fn for_host(answer: &str, method: &str, id: Option<&'static str>) -> String {
    let answer = message(answer);
    let Ok(Said::All(said)) = said(&answer) else { panic!("{answer:?} is complete") };
    said.for_host(method, id).unwrap().into_owned()
}

fn introduction() -> Introduction {
    Introduction::of(&message(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{"listChanged":true},"x":1e400},"clientInfo":{"name":"h\u00f6st","version":"1"}}}"#,
    ))
    .unwrap()
}

/// What [`introduction`] puts into `_meta`.
const STAMP: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"h\u00f6st","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"roots":{"listChanged":true},"x":1e400}"#;
const LEVEL: &str = r#","io.modelcontextprotocol/logLevel":"warning""#;

/// Everything that a host may ask for.
const ALL: Offers = Offers { forms: true, urls: true, sampling: true, roots: true, extensions: true };

#[test]
fn a_request_says_what_initialize_said() {
    for (request, stamped) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{STAMP}}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{STAMP}}}"#,
        ),
        (
            r#"{ "params" : { "n" : 1e400 , "_meta" : { "progressToken" : 7.0 } , "n":"\ud800"}, "id":"a" , "method":"x/y","jsonrpc":"2.0","odd":1}"#,
            r#"{ "params" : { "n" : 1e400 , "_meta" : { "progressToken" : 7.0 ,STAMP} , "n":"\ud800"}, "id":"a" , "method":"x/y","jsonrpc":"2.0","odd":1}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{},"traceparent":"00"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"roots":{"listChanged":true},"x":1e400},"traceparent":"00","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"h\u00f6st","version":"1"}}}}"#,
        ),
    ] {
        assert_eq!(
            introduction().stamp(request, None).unwrap(),
            stamped.replace("STAMP", STAMP),
            "{request}"
        );
    }
    let with_level = introduction().stamp(r#"{"id":1}"#, Some("warning")).unwrap();
    assert_eq!(with_level, format!(r#"{{"id":1,"params":{{"_meta":{{{STAMP}{LEVEL}}}}}}}"#));
    for (request, unsayable) in [
        (r#"{"id":1,"params":[1]}"#, Unsayable::NotAnObject("params")),
        (r#"{"id":1,"params":{"_meta":"x"}}"#, Unsayable::NotAnObject("params._meta")),
    ] {
        assert_eq!(introduction().stamp(request, None), Err(unsayable), "{request}");
    }
}

#[test]
fn the_host_keeps_the_version_that_it_asks_for_where_it_is_a_legacy_one() {
    for (asked, granted) in [
        (r#""2024-11-05""#, "2024-11-05"),
        (r#""2025-03-26""#, "2025-03-26"),
        (r#""2025-11-25""#, "2025-11-25"),
        (r#""2026-07-28""#, "2025-11-25"),
        (r#""1900-01-01""#, "2025-11-25"),
        ("7", "2025-11-25"),
    ] {
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":{asked}}}}}"#
        );
        let introduction = Introduction::of(&message(&initialize)).unwrap();
        assert_eq!(introduction.version(), granted, "{asked}");
        assert!(introduction.stamp("{}", None).unwrap().contains(r#"clientCapabilities":{}"#));
    }
}

#[test]
fn offers_are_read_from_the_capabilities() {
    let none = Offers::default();
    for (capabilities, offers) in [
        ("{}", none),
        (r#"{"elicitation":{}}"#, Offers { forms: true, ..none }),
        (r#"{"elicitation":{"form":{}}}"#, Offers { forms: true, ..none }),
        (r#"{"elicitation":{"url":{}}}"#, Offers { urls: true, ..none }),
        (
            r#"{"elicitation":{"form":{"applyDefaults":true},"url":{}}}"#,
            Offers { forms: true, urls: true, ..none },
        ),
        (r#"{"elicitation":null,"roots":true}"#, none),
        (r#"{"sampling":{},"roots":{"listChanged":true}}"#, Offers { sampling: true, roots: true, ..none }),
        (r#"{"extensions":{"io.modelcontextprotocol/ui":{}}}"#, Offers { extensions: true, ..none }),
    ] {
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"capabilities":{capabilities}}}}}"#
        );
        assert_eq!(Introduction::of(&message(&initialize)).unwrap().offers(), Ok(offers), "{capabilities}");
    }
}

#[test]
fn initialize_is_answered_with_what_the_server_discovers_of_itself() {
    for (discovered, answer) in [
        (
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1.0","n":1e400}},"instructions":"Do \u0041","ttlMs":1,"cacheScope":"public","odd":[ 1 ]}"#,
            r#"{"capabilities":{"tools":{"listChanged":true}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1.0","n":1e400}},"instructions":"Do \u0041","odd":[ 1 ],"protocolVersion":"2025-06-18","serverInfo":{"name":"s","version":"1.0","n":1e400}}"#,
        ),
        (
            r#"{"supportedVersions":["2027-01-01","2026-07-28"],"serverInfo":{"name":"above"}}"#,
            r#"{"serverInfo":{"name":"above"},"capabilities":{},"protocolVersion":"2025-06-18"}"#,
        ),
        (
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{}}"#,
            r#"{"capabilities":{},"protocolVersion":"2025-06-18","serverInfo":{"name":"mcp.example","version":"unknown"}}"#,
        ),
    ] {
        let found =
            Discovered::of(&message(&format!(r#"{{"jsonrpc":"2.0","id":"d","result":{discovered}}}"#)));
        let found = found.unwrap().unwrap();
        let frame = found.initialize_answer("0.0", "2025-06-18", "mcp.example").unwrap();
        assert_eq!(frame, format!(r#"{{"jsonrpc":"2.0","id":0.0,"result":{answer}}}"#));
    }
    for other in [
        r#""result":{"supportedVersions":["2025-11-25"]}"#,
        r#""result":{"supportedVersions":"2026-07-28"}"#,
        r#""result":{"protocolVersion":"2025-11-25"}"#,
        r#""result":7"#,
        r#""error":{"code":-32601,"message":"Method not found"}"#,
    ] {
        let answer = message(&format!(r#"{{"jsonrpc":"2.0","id":"d",{other}}}"#));
        assert_eq!(Discovered::of(&answer), Ok(None), "{other}");
    }
}

#[test]
fn what_a_server_offers_to_tell_of_is_read_from_its_capabilities() {
    let all = Tells { tools: true, prompts: true, resources: true, updates: true };
    for (capabilities, tells) in [
        ("{}", Tells::default()),
        (r#"{"tools":{},"prompts":{"listChanged":false},"resources":{"subscribe":"yes"}}"#, Tells::default()),
        (r#"{"tools":{"listChanged":true}}"#, Tells { tools: true, ..Tells::default() }),
        (
            r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true}}"#,
            all,
        ),
    ] {
        let answer = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"supportedVersions":["2026-07-28"],"capabilities":{capabilities}}}}}"#
        );
        assert_eq!(Discovered::of(&message(&answer)).unwrap().unwrap().tells, tells, "{capabilities}");
    }
}

#[test]
fn results_stay_but_for_what_a_legacy_schema_has_no_room_for() {
    for (method, result, changed) in [
        (
            "tools/list",
            r#"{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private","nextCursor":""}"#,
            None,
        ),
        (
            "tools/list",
            r#"{"tools":[{"name":"a","inputSchema":{"type":"object","properties":{"p":{"type":["string"],"x":1e400}},"$defs":{"q":true}},"outputSchema":{"type":"object"}}]}"#,
            None,
        ),
        (
            "tools/list",
            r#"{ "tools" : [ {"name":"a","outputSchema":{"type":"array"}} , {"name":"b","outputSchema":{"oneOf":[]}, "x":1} ] }"#,
            Some(r#"{ "tools" : [ {"name":"a"} , {"name":"b", "x":1} ] }"#),
        ),
        (
            "tools/list",
            r#"{"tools":[{"inputSchema":{"type":"object","properties":{ "a" : true , "b" : false, "c":{"properties":{"d":true}}}},"outputSchema":{"type":"object","properties":{"a":true}}}]}"#,
            Some(
                r#"{"tools":[{"inputSchema":{"type":"object","properties":{ "a" : {} , "b" : {"not":{}}, "c":{"properties":{"d":true}}}},"outputSchema":{"type":"object","properties":{"a":{}}}}]}"#,
            ),
        ),
        ("tools/list", r#"{"tools":[{"outputSchema":true,"outputSchema":{"type":"array"}}]}"#, None),
        ("tools/call", r#"{"content":[],"structuredContent":{"a":[1]},"resultType":"complete"}"#, None),
        (
            "tools/call",
            r#"{"content":[], "structuredContent":[{"a":1}], "isError":false}"#,
            Some(r#"{"content":[], "isError":false}"#),
        ),
        ("tools/call", r#"{"structuredContent":null}"#, Some("{}")),
        ("prompts/get", r#"{"structuredContent":7,"tools":[{"outputSchema":true}]}"#, None),
        ("resources/read", r#"{"contents":[{"uri":"a","text":"\ud800"}],"ttlMs":-1}"#, None),
    ] {
        let frame = |result| format!(r#"{{"jsonrpc":"2.0","id":"ours-2","result":{result} , "odd":1}}"#);
        let kept = frame(result);
        let expected = frame(changed.unwrap_or(result));
        assert_eq!(for_host(&kept, method, None), expected, "{result}");
        let renamed = for_host(&kept, method, Some("7.0"));
        assert_eq!(renamed, expected.replace(r#""ours-2""#, "7.0"), "{result}");
    }
    let error =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool","data":{"n":1e400}}}"#;
    assert_eq!(for_host(error, "tools/call", None), error);
}

#[test]
fn the_type_of_a_result_decides() {
    let result = |result: &str| message(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
    for complete in ["{}", r#"{"resultType":"complete"}"#, "7", "null"] {
        assert!(matches!(said(&result(complete)), Ok(Said::All(Answer { .. }))), "{complete}");
    }
    let asks = r#"{"resultType":"input\u005frequired"}"#;
    assert_eq!(said(&result(asks)), Ok(Said::InputRequired(asks)));
    for other in [r#"{"resultType":"task"}"#, r#"{"resultType":null}"#] {
        assert!(matches!(said(&result(other)), Ok(Said::Other(_))), "{other}");
    }
    let twice = r#"{"resultType":"complete","resultType":"input_required"}"#;
    assert_eq!(said(&result(twice)), Err(Repeated("resultType")));
    let error = message(r#"{"jsonrpc":"2.0","id":1,"error":{"resultType":"input_required"}}"#);
    assert!(matches!(said(&error), Ok(Said::All(_))));
}

#[test]
fn what_a_server_asks_becomes_requests_to_the_host() {
    let result = r#"{"resultType":"input_required","inputRequests":{ "\u0061 b" : {"method":"elicitation/create","params":{"message":"?","requestedSchema":{"n":1e400}}},
"page":{"params":{"mode":"url","url":"https://a.example/","message":"go"},"method":"elicitation/create","x":1},"model":{"method":"sampling/createMessage","params":{"maxTokens":5.0}},"dirs":{"method":"roots/list"}},"requestState":"\u0041\/=="}"#;
    let round = Round::of(result, ALL).unwrap();
    let frames: Vec<_> = round.questions.iter().map(|question| question.frame("q-1").unwrap()).collect();
    assert_eq!(
        frames,
        [
            r#"{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"n":1e400}},"jsonrpc":"2.0","id":"q-1"}"#,
            r#"{"params":{"mode":"url","url":"https://a.example/","message":"go","elicitationId":"q-1"},"method":"elicitation/create","x":1,"jsonrpc":"2.0","id":"q-1"}"#,
            r#"{"method":"sampling/createMessage","params":{"maxTokens":5.0},"jsonrpc":"2.0","id":"q-1"}"#,
            r#"{"method":"roots/list","jsonrpc":"2.0","id":"q-1"}"#,
        ]
    );
    let request =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}"#;
    let answers = ["{\"action\":\"accept\"}", "{}", "{\"n\":1e400}", "[]"].map(str::to_owned);
    assert_eq!(
        round.retry(request, "r-2", &answers).unwrap(),
        r#"{"jsonrpc":"2.0","id":"r-2","method":"tools/call","params":{"name":"t","_meta":{"progressToken":1},"inputResponses":{"\u0061 b":{"action":"accept"},"page":{},"model":{"n":1e400},"dirs":[]},"requestState":"\u0041\/=="}}"#
    );
}

#[test]
fn a_retry_holds_no_more_than_the_round_gave() {
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a"}}"#;
    for (result, expected) in [
        (
            r#"{"requestState":"s"}"#,
            r#"{"jsonrpc":"2.0","id":"r","method":"resources/read","params":{"uri":"a","requestState":"s"}}"#,
        ),
        (
            r#"{"inputRequests":{"r":{"method":"roots/list"}}}"#,
            r#"{"jsonrpc":"2.0","id":"r","method":"resources/read","params":{"uri":"a","inputResponses":{"r":{"roots":[]}}}}"#,
        ),
    ] {
        let round = Round::of(result, ALL).unwrap();
        assert_eq!(round.retry(request, "r", &[r#"{"roots":[]}"#.to_owned()]).unwrap(), expected);
    }
}

#[test]
fn what_the_host_does_not_offer_is_not_asked_of_it() {
    let none = Offers::default();
    let (form, url) = (
        r#"{"method":"elicitation/create","params":{}}"#,
        r#"{"method":"elicitation/create","params":{"mode":"url"}}"#,
    );
    let (sampling, roots) = (r#"{"method":"sampling/createMessage"}"#, r#"{"method":"roots/list"}"#);
    for (request, offers, asks) in [
        (form, Offers { forms: true, ..none }, Some(Asks::Form)),
        (form, Offers { urls: true, ..none }, None),
        (url, Offers { urls: true, ..none }, Some(Asks::Url)),
        (url, Offers { forms: true, ..none }, None),
        (sampling, Offers { sampling: true, ..none }, Some(Asks::Sampling)),
        (sampling, none, None),
        (roots, Offers { roots: true, ..none }, Some(Asks::Roots)),
        (roots, none, None),
    ] {
        let result = format!(r#"{{"inputRequests":{{"k":{request}}}}}"#);
        match (Round::of(&result, offers), asks) {
            (Ok(round), Some(asks)) => assert_eq!(round.questions[0].asks, asks),
            (Err(Unaskable::NotOffered(_)), None) => {}
            (found, _) => panic!("{request}: {found:?}"),
        }
    }
}

#[test]
fn a_round_that_the_specification_does_not_know_is_refused() {
    let many = (0..33).map(|n| format!(r#""{n}":{{"method":"roots/list"}}"#)).collect::<Vec<_>>().join(",");
    for result in [
        "{}".to_owned(),
        r#"{"inputRequests":{}}"#.to_owned(),
        r#"{"inputRequests":{"k":{"method":"tools/call"}}}"#.to_owned(),
        r#"{"inputRequests":{"k":{"params":{}}}}"#.to_owned(),
        r#"{"inputRequests":{"k":7}}"#.to_owned(),
        r#"{"inputRequests":{"k":{"method":"elicitation/create","params":{"mode":"voice"}}}}"#.to_owned(),
        r#"{"inputRequests":{"k":{"method":"roots/list"},"\u006b":{"method":"roots/list"}}}"#.to_owned(),
        r#"{"requestState":"a","requestState":"b"}"#.to_owned(),
        format!(r#"{{"inputRequests":{{{many}}}}}"#),
    ] {
        let found = Round::of(&result, ALL);
        assert!(
            matches!(found, Err(Unaskable::Malformed(_) | Unaskable::Repeated(_))),
            "{result}: {found:?}"
        );
    }
}

#[test]
fn retired_methods_are_known_by_name() {
    for (method, params, fate) in [
        ("ping", "{}", Fate::Done),
        ("logging/setLevel", r#"{"level":"w\u0061rning"}"#, Fate::LogLevel("warning")),
        ("logging/setLevel", r#"{"level":"loud"}"#, Fate::Wrong("no such log level")),
        ("logging/setLevel", "{}", Fate::Wrong("no such log level")),
        ("resources/subscribe", r#"{"uri":"file:///a"}"#, Fate::Subscribe("file:///a".to_owned())),
        ("resources/unsubscribe", r#"{"uri":"file:///a"}"#, Fate::Unsubscribe("file:///a".to_owned())),
        ("resources/subscribe", r#"{"uri":7}"#, Fate::Wrong("`uri` is missing")),
        ("resources/templates/list", "{}", Fate::Goes),
        ("completion/complete", "{}", Fate::Goes),
        ("tasks/list", "{}", Fate::Goes),
    ] {
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        assert_eq!(Fate::of(&message(&request)), fate, "{request}");
    }
    assert!(is_retired("notifications/roots/list_changed") && !is_retired("notifications/x"));
}
