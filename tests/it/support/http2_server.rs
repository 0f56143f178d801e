//! A server that speaks HTTP/2 alone, behind TLS: it says back what a call says, and takes down what came
//! on how many connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::connect_proxy::listen;
use super::mcp_server::result;
use super::tls::Authority;

/// The running server. It ends with the test's process.
pub(crate) struct Http2Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    /// Counts how often the connections were to end.
    goodbyes: watch::Sender<usize>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    posted: Mutex<Vec<Value>>,
}

impl Http2Server {
    /// Serves `localhost`.
    pub(crate) fn start(authority: &Authority) -> Self {
        let mut config = authority.config("localhost", None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), Arc::<Seen>::default());
        let (goodbyes, heard) = watch::channel(0);
        let shared = Arc::clone(&seen);
        let address = listen(move |stream| {
            let (acceptor, seen, mut heard) = (acceptor.clone(), Arc::clone(&shared), heard.clone());
            heard.mark_unchanged();
            async move {
                let _ = serve(stream, acceptor, seen, heard).await;
            }
        });
        Self { address, seen, goodbyes }
    }

    /// The endpoint's address.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/mcp", self.address.port())
    }

    /// How many connections came so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The messages that were posted so far.
    pub(crate) fn posted(&self) -> Vec<Value> {
        self.seen.posted.lock().unwrap().clone()
    }

    /// Says on every connection that it takes no more requests (RFC 9113 §6.8).
    pub(crate) fn go_away(&self) {
        self.goodbyes.send_modify(|count| *count += 1);
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    seen: Arc<Seen>,
    mut goodbyes: watch::Receiver<usize>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut connection = h2::server::handshake(acceptor.accept(stream).await?).await?;
    seen.connections.fetch_add(1, Ordering::SeqCst);
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted?;
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let _ = answer(request, respond, &seen).await;
                });
            }
            Ok(()) = goodbyes.changed() => connection.graceful_shutdown(),
        }
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: &Seen,
) -> Result<(), h2::Error> {
    let is_post = request.method() == "POST";
    let mut stream = request.into_body();
    let mut body = Vec::new();
    while let Some(part) = stream.data().await {
        let part = part?;
        stream.flow_control().release_capacity(part.len())?;
        body.extend_from_slice(&part);
    }
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut response = Response::new(());
    if !is_post || message.get("id").is_none() {
        *response.status_mut() = if is_post { StatusCode::ACCEPTED } else { StatusCode::METHOD_NOT_ALLOWED };
        return respond.send_response(response, true).map(drop);
    }
    seen.posted.lock().unwrap().push(message.clone());
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
    respond.send_response(response, false)?.send_data(answer.to_string().into(), true)
}
