//! A small HTTP client for loopback: what the fake browser follows, and what tests ask directly.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

use url::Url;

use super::DEADLINE;
use super::http_server::{read_chunks, read_headers};

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first header called `name`, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One GET, without following anything.
pub(crate) fn get(url: &Url) -> io::Result<Response> {
    send("GET", url, &[], b"")
}

/// One request over a connection of its own. A `Host` among `headers` replaces the URL's.
pub(crate) fn send(method: &str, url: &Url, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
    let mut stream = connect(url)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {}\r\n", &url[url::Position::BeforeHost..url::Position::AfterPort]));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    read_response(&mut BufReader::new(stream))
}

/// Sends bytes as they are to where `url` leads, and returns what comes until the other side closes.
pub(crate) fn raw(url: &Url, bytes: &[u8]) -> io::Result<String> {
    let mut stream = connect(url)?;
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    Ok(rest_of(stream))
}

/// A connection to where `url` leads.
pub(crate) fn connect(url: &Url) -> io::Result<TcpStream> {
    let host = url.host_str().ok_or(io::ErrorKind::InvalidInput)?.trim_matches(['[', ']']);
    let port = url.port_or_known_default().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// What comes until the other side closes, by a reset too.
pub(crate) fn rest_of(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let is_open = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        assert!(!is_open, "the connection stays open: {}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn read_response(reader: &mut BufReader<TcpStream>) -> io::Result<Response> {
    let mut line = String::new();
    io::BufRead::read_line(reader, &mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut response = Response {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        headers: read_headers(reader)?,
        body: Vec::new(),
    };
    if response.header("Transfer-Encoding").is_some() {
        response.body = read_chunks(reader)?;
    } else if let Some(length) = response.header("Content-Length").and_then(|value| value.parse().ok()) {
        response.body.resize(length, 0);
        reader.read_exact(&mut response.body)?;
    } else {
        reader.read_to_end(&mut response.body)?;
    }
    Ok(response)
}
