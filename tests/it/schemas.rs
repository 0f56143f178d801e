//! Schemas that are made to keep a bridge busy.

use serde_json::json;

use crate::support::http_server::Reply;
use crate::support::modern_server::{ModernSession, modern};
use crate::support::open_session::is;
use crate::support::processes::processor_time;

/// However deep a schema nests, each byte of it is read a bounded number of times: what reads it again at
/// every level keeps all else in the process from going on.
#[cfg(target_os = "linux")]
#[test]
fn a_schema_that_nests_deeply_costs_no_more_than_a_long_one() {
    const LEVELS: usize = 40_000;
    let (opening, closing) = (r#"{"type":"object","properties":{"a":"#, "}}");
    let annotated = r#"{"type":"string","x-mcp-header":"H"}"#;
    let deep = format!("{}{annotated}{}", opening.repeat(LEVELS), closing.repeat(LEVELS));
    let long =
        format!("{opening}{annotated},{}\"z\":{{}}}}}}", r#""parameter":{"type":"integer"},"#.repeat(LEVELS));
    let cost = |schema: String, is_kept: bool| {
        let server = modern(move |request, responder| {
            let lists = is("tools/list")(request);
            if lists {
                let tools = format!(r#"[{{"name":"x","inputSchema":{schema}}}]"#);
                let id = &request.json()["id"];
                let answer = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","tools":{tools}}}}}"#
                );
                responder.reply(&Reply::json(200, answer));
            }
            lists
        });
        let mut session = ModernSession::on(&server);
        let before = processor_time(session.bridge.process.id());
        let listed = session.call(1, "tools/list", json!({}));
        assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(usize::from(is_kept)));
        processor_time(session.bridge.process.id()) - before
    };
    let (long, deep) = (cost(long, true), cost(deep, false));
    assert!(deep <= 3 * long + 20, "{deep} ticks in place of {long}");
}
