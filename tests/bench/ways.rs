//! The two ways to the server: over an HTTP connection, and through a bridge process. A session is
//! initialised on each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{ChildStdin, ChildStdout, Stdio};

use serde_json::json;
use url::Url;

use crate::support::bridge::initialize_params;
use crate::support::home::Home;
use crate::support::http_server::read_headers;
use crate::support::modern_server::request;
use crate::support::process::Process;

/// A call that is answered with `text`.
pub(crate) fn call(id: usize, text: &str) -> Vec<u8> {
    let params = json!({"name": "echo", "arguments": {"text": text}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string().into_bytes()
}

/// The same of this revision.
pub(crate) fn call_of(era: Era, id: usize, text: &str) -> Vec<u8> {
    let params = json!({"name": "echo", "arguments": {"text": text}});
    match era {
        Era::Legacy => call(id, text),
        Era::Modern => request(id, "tools/call", params).into_bytes(),
    }
}

/// The revision of a bridge's host, and with it the server's.
#[derive(Clone, Copy)]
pub(crate) enum Era {
    /// 2025-11-25, in a session that `initialize` begins.
    Legacy,
    /// 2026-07-28.
    Modern,
}

fn initialize() -> Vec<u8> {
    let params = initialize_params();
    json!({"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": params})
        .to_string()
        .into_bytes()
}

/// A connection that is kept alive.
pub(crate) struct Direct {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Direct {
    /// Connects, and is back when `initialize` is answered.
    pub(crate) fn connect(url: &str) -> Self {
        let url = Url::parse(url).expect("a URL");
        let address = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nContent-Length: ",
            url.path()
        );
        let mut direct = Self { stream: BufReader::new(stream), head };
        direct.exchange(&initialize());
        direct
    }

    /// Posts a request and returns the body of its answer.
    pub(crate) fn exchange(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut request = format!("{}{}\r\n\r\n", self.head, frame.len()).into_bytes();
        request.extend_from_slice(frame);
        self.stream.get_mut().write_all(&request).expect("the server reads");
        let mut status = String::new();
        self.stream.read_line(&mut status).expect("the server answers");
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        let headers = read_headers(&mut self.stream).expect("headers");
        let length = headers.iter().find(|(name, _)| name == "Content-Length").expect("a length");
        let mut body = vec![0; length.1.parse().expect("a number")];
        self.stream.read_exact(&mut body).expect("the whole body");
        body
    }
}

/// A running bridge.
pub(crate) struct Bridged {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    process: Process,
    pub(crate) era: Era,
}

impl Bridged {
    /// Starts the bridge, and is back when it and the host know each other.
    pub(crate) fn start(home: &Home, url: &str, era: Era) -> Self {
        let mut command = home.command(["bridge", url]);
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let stdin = process.child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(process.child.stdout.take().expect("stdout is piped"));
        let mut bridged = Self { stdin, stdout, process, era };
        bridged.exchange(&match era {
            Era::Legacy => initialize(),
            Era::Modern => request("first", "server/discover", json!({})).into_bytes(),
        });
        bridged
    }

    /// Sends a request and returns its answer.
    pub(crate) fn exchange(&mut self, frame: &[u8]) -> Vec<u8> {
        self.send(frame);
        self.receive()
    }

    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.stdin.write_all(&[frame, b"\n"].concat()).expect("the bridge reads");
    }

    /// The next answer, whichever request it belongs to.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.stdout.read_until(b'\n', &mut line).expect("the bridge answers");
        let error = line.windows(8).take(64).any(|bytes| bytes == b"\"error\":");
        assert!(line.len() > 1 && !error, "{}", String::from_utf8_lossy(&line));
        line
    }

    /// In KiB, where the kernel tells.
    pub(crate) fn proportional_set_size(&self) -> Option<u64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id())).ok()?;
        rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().trim_end_matches(" kB").parse().ok()
    }
}
