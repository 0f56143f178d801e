//! A loopback HTTP/1.1 server on plain threads whose handlers own the raw connection: they may
//! send any status, cut a body in half, reset the connection or hold an answer back.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    /// In their order, names as sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The first header called `name`, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query's parameters, decoded.
    pub(crate) fn query(&self) -> HashMap<String, String> {
        form(self.target.split_once('?').map_or("", |(_, query)| query).as_bytes())
    }

    /// The body as a form, decoded.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        form(&self.body)
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn form(text: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::status(status).body("application/json", body)
    }

    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::status(status).body("text/html; charset=utf-8", body)
    }

    /// An event stream that ends after `body`.
    pub(crate) fn events(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body("text/event-stream", body)
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut reply = self.header("Content-Type", content_type);
        reply.body = body.into();
        reply
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The answering end of a connection.
pub(crate) struct Responder {
    stream: TcpStream,
    /// Whether the connection can carry another request after this one.
    reusable: bool,
}

impl Responder {
    /// Sends a whole answer with its length; the connection stays open.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        let mut head = head(reply.status, &reply.headers);
        if reply.status != 204 && reply.status != 304 {
            head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&reply.body);
        self.reusable = self.raw(&bytes);
    }

    /// Starts a chunked answer; [`chunk`](Self::chunk) follows, then [`end`](Self::end), or the
    /// handler returns and the body is cut there.
    pub(crate) fn start(&mut self, status: u16, headers: &[(&str, &str)]) -> bool {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.raw(format!("{}Transfer-Encoding: chunked\r\n\r\n", head(status, &headers)).as_bytes())
    }

    /// Starts an event stream.
    pub(crate) fn start_events(&mut self) -> bool {
        self.start(200, &[("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
    }

    /// Sends one chunk; false where the other side is gone.
    pub(crate) fn chunk(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        let mut frame = format!("{:x}\r\n", bytes.len()).into_bytes();
        frame.extend_from_slice(bytes);
        frame.extend_from_slice(b"\r\n");
        self.raw(&frame)
    }

    /// Ends a chunked answer properly.
    pub(crate) fn end(&mut self) {
        self.reusable = self.raw(b"0\r\n\r\n");
    }

    /// Sends bytes as they are; false where the other side is gone.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Makes a write fail that the other side does not take for so long.
    pub(crate) fn give_up_writing_after(&mut self, patience: Duration) {
        self.stream.set_write_timeout(Some(patience)).expect("a length of time");
    }

    /// Makes the connection end with a reset when the handler returns.
    pub(crate) fn reset(&mut self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        self.reusable = false;
    }

    /// Waits until the other side closes the connection.
    pub(crate) fn wait_for_close(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }
}

fn head(status: u16, headers: &[(String, String)]) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

/// The server: it listens until it is dropped, and its connections end with it.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

type Handler = Box<dyn Fn(&Request, &mut Responder) + Send + Sync>;

struct State {
    handler: Handler,
    ended: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Server {
    /// Listens on a free loopback port and answers with `handler`, one thread a connection.
    pub(crate) fn start(handler: impl Fn(&Request, &mut Responder) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State {
            handler: Box::new(handler),
            ended: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(copy) = stream.try_clone() else { continue };
                accepting.connections.lock().unwrap().push(copy);
                let state = Arc::clone(&accepting);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections came so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.lock().unwrap().len()
    }

    /// Closes every connection; they count no more.
    pub(crate) fn drop_connections(&self) {
        for stream in self.state.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then gives the port back.
        let _ = TcpStream::connect(self.address);
        self.drop_connections();
    }
}

fn serve(stream: TcpStream, state: &State) {
    let Ok(copy) = stream.try_clone() else { return };
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(copy);
    let mut responder = Responder { stream, reusable: true };
    while responder.reusable {
        let Ok(Some(request)) = read_request(&mut reader) else { break };
        responder.reusable = false;
        (state.handler)(&request, &mut responder);
        responder.reusable &=
            !request.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    }
    let _ = responder.stream.shutdown(Shutdown::Both);
}

/// The next request, or `None` where the other side has closed.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(line) = read_line(reader)? else { return Ok(None) };
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = read_headers(reader)?;
    let mut request =
        Request { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new() };
    request.body = read_body(reader, &request)?;
    Ok(Some(request))
}

pub(crate) fn read_headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(headers)
}

fn read_body(reader: &mut impl BufRead, request: &Request) -> io::Result<Vec<u8>> {
    if request.header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return read_chunks(reader);
    }
    let length = request.header("Content-Length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

pub(super) fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        reader.by_ref().take(length).read_to_end(&mut body)?;
        read_line(reader)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}
