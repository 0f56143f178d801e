//! Loopback sockets for a server that must answer one visitor in spite of all others.
//!
//! Whoever connects and says nothing is cut off, and only so many may be connected at once; a
//! connection whose request was heard has no limit of its own, since its answer may take as long
//! as a person does. HTTP/1 alone is spoken: an HTTP/2 connection (RFC 9113 §3.4) would outlive its
//! answer, which is what ends any other here.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use url::{Host, Url};

/// How many connections are open at once.
const CONNECTION_LIMIT: usize = 64;
/// What an HTTP/2 connection starts with. The server beneath would speak it, since another package
/// turns that on.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long to wait where the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a free port is drawn that must be free in both address families.
const DRAWS: usize = 16;

/// The addresses that a URL's host stands for, as far as they are loopback: one, or both families
/// for `localhost`, since a browser may choose either.
pub(super) fn loopback_addresses(url: &Url) -> Option<Vec<SocketAddr>> {
    let port = url.port_or_known_default()?;
    let (v4, v6) =
        (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    match url.host()? {
        Host::Domain("localhost") => Some(vec![v4, v6]),
        Host::Ipv4(address) if address.is_loopback() => Some(vec![(address, port).into()]),
        Host::Ipv6(address) if address.is_loopback() => Some(vec![v6]),
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// Listens on all of `addresses` with one port; port 0 draws one that is free on all of them.
pub(super) fn listen(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let drawn = addresses.iter().any(|address| address.port() == 0);
    let mut tried = 0;
    loop {
        tried += 1;
        match listen_once(addresses) {
            Err(error) if drawn && error.kind() == io::ErrorKind::AddrInUse && tried < DRAWS => {}
            outcome => return outcome,
        }
    }
}

fn listen_once(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for address in addresses {
        let port = match listeners.first() {
            Some(first) => first.local_addr()?.port(),
            None => address.port(),
        };
        match TcpListener::bind((address.ip(), port)) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                listeners.push(listener);
            }
            // A machine without IPv6 has nobody who could take the port there either.
            Err(error) if !listeners.is_empty() && error.kind() != io::ErrorKind::AddrInUse => {
                tracing::debug!(%address, %error, "not listening");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

/// The listening sockets, as axum wants them.
pub(super) struct Sockets {
    listeners: Vec<tokio::net::TcpListener>,
    room: Arc<Semaphore>,
    hearing_limit: Duration,
}

impl Sockets {
    /// `hearing_limit` is how long a connection may take to bring a request.
    pub(super) fn new(listeners: Vec<TcpListener>, hearing_limit: Duration) -> io::Result<Self> {
        let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std);
        Ok(Self {
            listeners: listeners.collect::<io::Result<_>>()?,
            room: Arc::new(Semaphore::new(CONNECTION_LIMIT)),
            hearing_limit,
        })
    }

    pub(super) fn port(&self) -> io::Result<u16> {
        axum::serve::Listener::local_addr(self).map(|address| address.port())
    }

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            self.listeners
                .iter()
                .map(|listener| listener.poll_accept(context))
                .find(Poll::is_ready)
                .unwrap_or(Poll::Pending)
        })
        .await
    }
}

impl axum::serve::Listener for Sockets {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Ok(permit) = self.room.clone().acquire_owned().await else { continue };
            match self.next().await {
                Ok((stream, address)) => {
                    let limit = Box::pin(tokio::time::sleep(self.hearing_limit));
                    let heard = Heard::default();
                    return (Connection { stream, preface: Some(0), heard, limit, _permit: permit }, address);
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listeners.first().ok_or(io::ErrorKind::NotConnected)?.local_addr()
    }
}

/// Tells a connection that its request was heard.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<AtomicBool>);

impl Heard {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Sockets>> for Heard {
    fn connect_info(stream: IncomingStream<'_, Sockets>) -> Self {
        stream.io().heard.clone()
    }
}

/// A connection that is cut off where it brings no request in time.
pub(super) struct Connection {
    stream: TcpStream,
    /// How much of [`HTTP2_PREFACE`] has come; `None` once something else came.
    preface: Option<usize>,
    heard: Heard,
    limit: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            read?;
            self.preface = self.preface.and_then(|come| preface(come, &buffer.filled()[before..]));
            if self.preface == Some(HTTP2_PREFACE.len()) {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            return Poll::Ready(Ok(()));
        }
        if self.heard.0.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        ready!(self.limit.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// How much of the preface has come after `bytes`, `come` of which came before; `None` where they
/// differ.
fn preface(come: usize, bytes: &[u8]) -> Option<usize> {
    let rest = &HTTP2_PREFACE[come..];
    let length = rest.len().min(bytes.len());
    (rest[..length] == bytes[..length]).then_some(come + length)
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_has_addresses() {
        for (url, count) in [
            ("http://127.0.0.1:0/", Some(1)),
            ("http://127.0.0.2:8080/", Some(1)),
            ("http://[::1]:8080/", Some(1)),
            ("http://localhost:8080/", Some(2)),
            ("http://0.0.0.0:8080/", None),
            ("http://[::]:8080/", None),
            ("http://192.168.0.1:8080/", None),
            ("http://localhost.evil.example/", None),
            ("http://example.com/", None),
        ] {
            let addresses = loopback_addresses(&Url::parse(url).unwrap());
            assert_eq!(addresses.map(|addresses| addresses.len()), count, "{url}");
        }
    }

    #[test]
    fn the_http2_preface_is_known_in_pieces_too() {
        let all = HTTP2_PREFACE.len();
        for split in 0..=all {
            let come = preface(0, &HTTP2_PREFACE[..split]).unwrap();
            assert_eq!(preface(come, &[&HTTP2_PREFACE[split..], b"more"].concat()), Some(all), "{split}");
        }
        for other in ["GET / HTTP/1.1\r\n", "PRI * HTTP/1.1\r\n", "P0"] {
            assert_eq!(preface(0, other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_taken_port_is_an_error_in_either_family() {
        for holder in [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))]
        {
            let Ok(held) = TcpListener::bind(holder) else { continue };
            let port = held.local_addr().unwrap().port();
            let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
            let error = listen(&loopback_addresses(&url).unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{holder}");
        }
    }
}
