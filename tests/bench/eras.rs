//! Requests of 2026-07-28 that pass through, beside those of the era before.

use std::time::Duration;

use serde_json::{Value, json};

use crate::figures::{Pair, WAYS, alternate, report_rates, report_times};
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request};
use crate::support::mcp_server::result;
use crate::support::modern_server::{self, envelope};
use crate::ways::{Bridged, Direct, Era, call_of};
use crate::{IN_FLIGHT, bridged_rate, connections, direct_rate, time};

/// How many tools the long list has, and how long it is at least.
const TOOLS: usize = 2000;
const LIST: usize = 5_000_000;

/// The two bridges, and what either costs.
const NAMES: [&str; 2] = ["legacy", "modern"];

/// A list of tools, each of which wants two of its arguments in headers.
pub(crate) fn long_list() -> String {
    let tool = |number: usize| {
        let place = json!({"type": "string", "description": "x".repeat(600), "x-mcp-header": "Place"});
        let deep =
            json!({"type": "object", "properties": {"count": {"type": "integer", "x-mcp-header": "Count"}}});
        let properties = json!({"place": place, "deep": deep, "free": {"type": "string"}});
        json!({
            "name": format!("tool-{number}"),
            "description": "y".repeat(1800),
            "inputSchema": {"type": "object", "properties": properties},
        })
    };
    let tools: Vec<Value> = (0..TOOLS).map(tool).collect();
    let list = json!({"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private"});
    list.to_string()
}

/// The server's part in it, which costs no more than in the era before.
pub(crate) fn serve(request: &Request, message: &Value, list: &str) -> Reply {
    let answer = match message["method"].as_str() {
        Some("tools/list") => format!(r#"{{"jsonrpc":"2.0","id":{},"result":{list}}}"#, message["id"]),
        Some("tools/call") => {
            json!({"jsonrpc": "2.0", "id": message["id"], "result": result(message)}).to_string()
        }
        _ => return modern_server::serve(request),
    };
    Reply::json(200, answer)
}

/// Whether a message is of this era.
pub(crate) fn is_modern(message: &Value) -> bool {
    message["params"]["_meta"].is_object()
}

/// Measures `times` as many rounds as are needed for a first look.
pub(crate) fn compare(home: &Home, url: &str, times: usize) {
    report_times("call of 2026-07-28", NAMES, &calls(home, url, 40 * times));
    report_times("the same directly", NAMES, &direct_calls(url, 40 * times));
    let name = format!("throughput of 2026-07-28, {IN_FLIGHT} in flight");
    report_rates(&name, NAMES, &throughput(home, url, 10 * times));
    report_rates("the same directly", NAMES, &direct_throughput(url, 10 * times));
    report_times("5 MB tools/list of 2026-07-28", WAYS, &lists(home, url, 10 * times));
}

fn calls(home: &Home, url: &str, rounds: usize) -> Vec<Pair<Vec<Duration>>> {
    let [mut legacy, mut modern] = [Era::Legacy, Era::Modern].map(|era| Bridged::start(home, url, era));
    let fifty = |bridged: &mut Bridged| -> Vec<_> {
        let frames: Vec<_> = (0..50).map(|id| call_of(bridged.era, id, "hello")).collect();
        frames.iter().map(|frame| time(|| _ = bridged.exchange(frame))).collect()
    };
    alternate(rounds, || fifty(&mut legacy), || fifty(&mut modern))
}

/// The frames are longer, and that costs the server too.
fn direct_calls(url: &str, rounds: usize) -> Vec<Pair<Vec<Duration>>> {
    let mut connections = [Direct::connect(url), Direct::connect(url)];
    let [legacy, modern] = &mut connections;
    let fifty = |direct: &mut Direct, era: Era| -> Vec<_> {
        let frames: Vec<_> = (0..50).map(|id| call_of(era, id, "hello")).collect();
        frames.iter().map(|frame| time(|| _ = direct.exchange(frame))).collect()
    };
    alternate(rounds, || fifty(legacy, Era::Legacy), || fifty(modern, Era::Modern))
}

fn throughput(home: &Home, url: &str, rounds: usize) -> Vec<Pair<f64>> {
    let [mut legacy, mut modern] = [Era::Legacy, Era::Modern].map(|era| Bridged::start(home, url, era));
    alternate(rounds, || bridged_rate(&mut legacy), || bridged_rate(&mut modern))
}

fn direct_throughput(url: &str, rounds: usize) -> Vec<Pair<f64>> {
    let mut connections = [connections(url), connections(url)];
    let [legacy, modern] = &mut connections;
    alternate(rounds, || direct_rate(legacy, Era::Legacy), || direct_rate(modern, Era::Modern))
}

fn lists(home: &Home, url: &str, rounds: usize) -> Vec<Pair<Vec<Duration>>> {
    let (mut direct, mut bridged) = (Direct::connect(url), Bridged::start(home, url, Era::Modern));
    let params = json!({"_meta": envelope()});
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params});
    let ask = ask.to_string().into_bytes();
    alternate(
        rounds,
        || vec![time(|| assert!(direct.exchange(&ask).len() > LIST))],
        || vec![time(|| assert!(bridged.exchange(&ask).len() > LIST))],
    )
}
