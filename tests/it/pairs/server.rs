//! Real servers with the same tools: `echo`, `progress`, `ask`, `sample`, `change`, `wait` (until it
//! is called off, or let go by `release`) and `cancelled` (how often it was called off).

use std::sync::atomic::AtomicUsize;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::{Cell, Era, Sdk, Transport, rmcp, rmcp_sse};
use crate::support::node::{Node, NodeServer};

/// The names of the tools.
pub(super) const TOOLS: [&str; 8] =
    ["ask", "cancelled", "change", "echo", "progress", "release", "sample", "wait"];

/// A running server.
pub(super) struct Server {
    pub(super) url: String,
    _process: Option<NodeServer>,
}

/// Starts the server of a cell; `None` where a part of it is not installed.
pub(super) fn start(cell: Cell) -> Option<Server> {
    let words: &[&str] = match (cell.sdk, cell.server, cell.transport) {
        (Sdk::Rmcp, _, Transport::HttpSse) => return Some(in_process("/sse", rmcp_sse::serve)),
        (Sdk::Rmcp, era, Transport::StreamableHttp) => {
            return Some(in_process("/mcp", move |listener| rmcp::serve(listener, era)));
        }
        (Sdk::TypeScript, Era::Legacy, Transport::HttpSse) => &["legacy.mjs", "sse"],
        (Sdk::TypeScript, Era::Legacy, Transport::StreamableHttp) => &["legacy.mjs"],
        (Sdk::TypeScript, Era::Dual, _) => &["modern.mjs", "dual"],
        (Sdk::TypeScript, Era::Modern, _) => &["modern.mjs"],
    };
    let mut command = Node::installed()?.fixture(words[0]);
    command.args(&words[1..]);
    let process = NodeServer::start(command);
    Some(Server { url: process.url.clone(), _process: Some(process) })
}

/// A server of this test's own process, which it ends with.
fn in_process<F: Future<Output = ()>>(
    path: &str,
    serve: impl FnOnce(TcpListener) -> F + Send + 'static,
) -> Server {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.set_nonblocking(true).expect("a socket that does not block");
    let url = format!("http://{}{path}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { serve(TcpListener::from_std(listener).expect("a listener")).await });
    });
    Server { url, _process: None }
}

/// What the sessions of one server share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) changed: Notify,
    pub(super) released: Notify,
    pub(super) nudged: Notify,
    pub(super) cancelled: AtomicUsize,
}
