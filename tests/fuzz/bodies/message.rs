//! The routing head: what is read of a frame is what any JSON parser reads, a frame of two readings is
//! refused, its bytes stay, and a frame that is refused is answered with one that is not.

use bytes::Bytes;
use mcp_front::jsonrpc::{Head, Id, InvalidMessage, Message, Parameters};
use serde_json::Value;

use super::json;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The bytes are one frame.
pub fn check(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let json = json::valid(data);
    match Message::parse(frame.clone()) {
        Ok(message) => {
            let json = json.expect("a message is JSON");
            assert!(json.starts_with('{'));
            check_bytes(data, &message);
            check_names(json, &["jsonrpc", "id", "method", "params", "result", "error"]);
            if let Ok(value) = serde_json::from_slice(data) {
                check_head(message.head(), &value);
            }
            assert_eq!(
                Message::parse(message.bytes().clone()).as_ref().map(Message::head),
                Ok(message.head())
            );
        }
        Err(error) => {
            assert_eq!(json.is_none(), matches!(error, InvalidMessage::NotJson(_)), "{error}");
            check_refusal(&error);
        }
    }
    check_batch(&frame, json);
}

/// Nothing differs but the line breaks between tokens.
fn check_bytes(data: &[u8], message: &Message) {
    let bytes = message.bytes();
    assert_eq!(bytes.len(), data.len());
    let stays = |(before, after): (&u8, &u8)| match before {
        b'\r' | b'\n' => *after == b' ',
        before => after == before,
    };
    assert!(data.iter().zip(bytes).all(stays));
    assert_eq!(message.text().as_bytes(), bytes.trim_ascii());
}

/// None of the names stands there twice, however it is written.
fn check_names(object: &str, names: &[&str]) {
    let parts = json::parts(object, b'{').expect("an object");
    let found: Vec<_> = parts.iter().filter_map(|part| json::decoded(&object[part.name.clone()])).collect();
    for name in names {
        assert!(found.iter().filter(|found| found == name).count() < 2, "`{name}` has two readings");
    }
}

fn check_head(head: &Head, value: &Value) {
    assert_eq!(value["jsonrpc"], "2.0");
    assert_eq!(head.method(), value["method"].as_str());
    let id = value.get("id");
    match head {
        Head::Request { id: read, parameters, .. } => {
            check_id(read, id);
            check_parameters(parameters, &value["params"]);
        }
        Head::Notification { parameters, .. } => {
            assert_eq!(id, None);
            check_parameters(parameters, &value["params"]);
        }
        Head::Response { id: read, successful, protocol_version } => {
            check_id(read, id);
            assert_eq!(*successful, value.get("result").is_some());
            assert_ne!(value.get("result").is_some(), value.get("error").is_some());
            assert_eq!(protocol_version.as_deref(), value["result"]["protocolVersion"].as_str());
        }
    }
}

fn check_id(read: &Id, value: Option<&Value>) {
    let written: Value = serde_json::from_str(read.as_json()).expect("an id is JSON");
    assert_eq!(Some(&written), value);
}

fn check_parameters(read: &Parameters, params: &Value) {
    assert_eq!(read.name.as_deref(), params["name"].as_str());
    assert_eq!(read.uri.as_deref(), params["uri"].as_str());
    assert_eq!(read.task_id.as_deref(), params["taskId"].as_str());
    assert_eq!(read.protocol_version.as_deref(), params["_meta"][META_VERSION].as_str());
    if let Some(id) = &read.request_id {
        check_id(id, params.get("requestId"));
    }
}

/// The answer to what is refused is a message, on one line, with the id that the refusal names.
fn check_refusal(error: &InvalidMessage) {
    let answer = error.to_response().into_bytes();
    assert!(!answer.contains(&b'\n'));
    let answer = Message::parse(answer).expect("the answer is a message");
    let Head::Response { id, successful: false, .. } = answer.head() else { panic!("{answer:?}") };
    let owed = match error {
        InvalidMessage::NotJson(_) | InvalidMessage::Repeated { is_answer: true, .. } => None,
        InvalidMessage::NotJsonRpc { id, .. } | InvalidMessage::Repeated { id, .. } => id.clone(),
    };
    assert_eq!(*id, owed.unwrap_or(Id::Null));
    let json = serde_json::from_slice::<Value>(answer.bytes());
    // An id may be what no `Value` holds.
    let code = json.map(|json| json["error"]["code"].as_i64());
    assert!(matches!(code, Ok(Some(-32700 | -32600)) | Err(_)));
}

fn check_batch(frame: &Bytes, json: Option<&str>) {
    match Message::split_batch(frame) {
        Ok(None) => assert!(json.is_none_or(|json| !json.starts_with('['))),
        Ok(Some(elements)) => {
            let json = json.expect("a batch is JSON");
            let parts = json::parts(json, b'[').expect("a batch is an array");
            let found = parts.iter().map(|part| json[part.value.clone()].as_bytes());
            assert!(found.eq(elements.iter().map(|element| &element[..])));
            assert!((1..=mcp_front::jsonrpc::BATCH_LIMIT).contains(&elements.len()));
        }
        Err(error) => check_refusal(&error),
    }
}
