//! A scripted proxy on loopback: it takes CONNECT and SOCKS5 (RFC 1928, RFC 1929), leads each known
//! name to a place of the test's, and takes down who asked for what, and with which password.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::home::Outcome;

pub(crate) const USER: &str = "proxy-user";
/// A canary that must never be seen anywhere.
pub(crate) const PASSWORD: &str = "canary-proxy-password-7c2f";

/// The running proxy. It ends with the test's process.
pub(crate) struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Leads `name:443` to an address, for each of `places`; whoever brings no password gets 407.
    pub(crate) fn start<const N: usize>(places: [(&str, SocketAddr); N]) -> Self {
        let places = places.map(|(name, address)| (format!("{name}:443"), address));
        let places = Arc::new(HashMap::from(places));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        let address = listen(move |stream| {
            let (places, seen) = (Arc::clone(&places), Arc::clone(&seen));
            async move {
                let mut stream = BufReader::new(stream);
                let _ = match stream.fill_buf().await {
                    Ok([5, ..]) => serve_socks(stream, &places, &seen).await,
                    _ => serve(stream, &places, &seen).await,
                };
            }
        });
        Self { address, asked }
    }

    /// Its address, with this password.
    pub(crate) fn url(&self, password: &str) -> String {
        format!("http://{USER}:{password}@{}", self.address)
    }

    /// The same for SOCKS5, with names that the proxy resolves.
    pub(crate) fn socks_url(&self, password: &str) -> String {
        format!("socks5h://{USER}:{password}@{}", self.address)
    }

    /// What was asked for so far, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// How often `name` was asked for.
    pub(crate) fn asked_for(&self, name: &str) -> usize {
        let target = format!("{name}:443");
        self.asked().iter().filter(|asked| **asked == target).count()
    }
}

async fn serve(
    mut stream: BufReader<TcpStream>,
    places: &HashMap<String, SocketAddr>,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let target = match (words.next(), words.next()) {
        (Some("CONNECT"), Some(target)) => target.to_owned(),
        _ => return stream.write_all(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n").await,
    };
    asked.lock().unwrap().push(target.clone());
    let password = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let is_known = head.iter().filter_map(|line| line.split_once(": "));
    if !is_known
        .clone()
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == password)
    {
        let answer = b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(answer).await;
    }
    let Some(place) = places.get(&target) else {
        return stream.write_all(b"HTTP/1.1 502 Unknown\r\nContent-Length: 0\r\n\r\n").await;
    };
    let mut inner = TcpStream::connect(place).await?;
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut inner).await.map(|_| ())
}

async fn serve_socks(
    mut stream: BufReader<TcpStream>,
    places: &HashMap<String, SocketAddr>,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await?;
    stream.read_exact(&mut vec![0; greeting[1].into()]).await?;
    // A name and a password are wanted.
    stream.write_all(&[5, 2]).await?;
    stream.read_u8().await?;
    let (user, password) = (counted(&mut stream).await?, counted(&mut stream).await?);
    if (user.as_str(), password.as_str()) != (USER, PASSWORD) {
        return stream.write_all(&[1, 1]).await;
    }
    stream.write_all(&[1, 0]).await?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    assert_eq!(request, [5, 1, 0, 3], "the proxy is asked to connect, and to resolve the name");
    let target = format!("{}:{}", counted(&mut stream).await?, stream.read_u16().await?);
    asked.lock().unwrap().push(target.clone());
    let Some(place) = places.get(&target) else {
        return stream.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    };
    let mut inner = TcpStream::connect(place).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut stream, &mut inner).await.map(|_| ())
}

/// A text behind its length.
async fn counted(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Listens on a free loopback port, on a thread of its own, and serves each connection with
/// `serve`.
pub(super) fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.set_nonblocking(true).expect("a socket that does not block");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    address
}

/// What a command left behind, without the proxy's password.
pub(crate) fn free_of_password(outcome: Outcome) -> Outcome {
    assert!(!outcome.stderr.contains(PASSWORD) && !outcome.stdout.contains(PASSWORD), "{outcome:?}");
    outcome
}
