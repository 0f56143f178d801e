//! The listener among foreign, slow and late visitors, over real loopback connections.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn bind(redirect_uri: &str) -> CallbackListener {
    CallbackListener::bind(&Url::parse(redirect_uri).unwrap()).unwrap()
}

fn port(listener: &CallbackListener) -> u16 {
    listener.redirect_uri().port().unwrap()
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Sends raw text and reads until the server closes.
async fn raw(port: u16, text: &str) -> String {
    let mut stream = connect(port).await;
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(target: &str, host: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[tokio::test]
async fn what_is_no_visit_gets_400_and_the_real_one_still_comes_through() {
    let mut listener = bind("http://127.0.0.1:0/callback");
    let port = port(&listener);
    let host = format!("127.0.0.1:{port}");
    for request in [
        get("/callback?code=x", "evil.example"),
        get("/callback?code=x", &format!("evil.example:{port}")),
        get("/callback?code=x", "127.0.0.1:1"),
        get("/callback?code=x", "127.0.0.1"),
        get("/callback?code=x", &format!("{host}@evil.example")),
        get("/callback?code=x", &format!("{host}\r\nHost: evil.example")),
        get(&format!("http://{host}/callback?code=x"), &host),
        get("/../callback?code=x", &host),
        get("/callback/?code=x", &host),
        get("/favicon.ico", &host),
        get("/callback?code=x", &format!("{host}\r\nOrigin: https://evil.example")),
        get(&format!("/callback?code={}", "x".repeat(QUERY_LIMIT)), &host),
        get(&format!("/callback?code={}", "x".repeat(100 * 1024)), &host),
        format!("POST /callback?code=x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 6\r\n\r\ncode=x"),
        format!("BREW /callback?code=x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        "GET /callback?code=x HTTP/1.1\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned(),
    ] {
        let answer = raw(port, &request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{:.200}\n{answer:.200}", request);
        assert!(listener.visits.is_empty(), "{request:.200}");
    }
    let browser = tokio::spawn(async move { raw(port, &get("/callback?code=x&state=y", &host)).await });
    let visit = listener.next().await.unwrap();
    assert_eq!(visit.query(), "code=x&state=y");
    visit.answer(Page::Success { service: "<Front>".to_owned() });
    let answer = browser.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("&#60;Front&#62;"), "{answer}");
    listener.close().await;
}

#[tokio::test]
async fn after_the_right_visit_the_port_is_closed_and_the_rest_get_400() {
    let mut listener = bind("http://127.0.0.1:0/callback");
    let port = port(&listener);
    let request = get("/callback?code=x", &format!("localhost:{port}"));
    let mut idle = connect(port).await;
    let first = tokio::spawn({
        let request = request.clone();
        async move { raw(port, &request).await }
    });
    let visit = listener.next().await.unwrap();
    // Pipelined behind the first one, and on a connection that stood before.
    idle.write_all(format!("{request}{request}").as_bytes()).await.unwrap();
    listener.settle();
    let mut answer = String::new();
    let _ = idle.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    visit.answer(Page::Success { service: "Front".to_owned() });
    assert!(first.await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(listener.next().await.is_none());
    listener.close().await;
}

#[tokio::test]
async fn dropping_the_listener_closes_the_port() {
    let listener = bind("http://127.0.0.1:0/callback");
    let port = port(&listener);
    drop(connect(port).await);
    drop(listener);
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_silent_are_cut_off_and_do_not_hold_up_the_browser() {
    let limit = Duration::from_millis(200);
    let url = Url::parse("http://127.0.0.1:0/callback").unwrap();
    let mut listener = CallbackListener::listen(&url, limit).unwrap();
    let port = port(&listener);
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(port).await;
        stream.write_all(b"GET /callback?co").await.unwrap();
        silent.push(stream);
    }
    let browser = tokio::spawn(async move { raw(port, &get("/callback?q", &format!("[::1]:{port}"))).await });
    let visit = listener.next().await.unwrap();
    for mut stream in silent {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    // The visit was heard, and has outlived the limit.
    visit.answer(Page::Failure { service: "Front".to_owned(), reason: "Declined.".to_owned() });
    assert!(browser.await.unwrap().contains("Declined."));
    listener.close().await;
}

/// The hearing limit is longer than the test: what holds a connection open would hold the browser up.
#[tokio::test]
async fn the_answered_and_http2_do_not_hold_up_the_browser() {
    let url = Url::parse("http://127.0.0.1:0/callback").unwrap();
    let mut listener = CallbackListener::listen(&url, Duration::from_secs(600)).unwrap();
    let port = port(&listener);
    let settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let http2 = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), settings].concat();
    let refused = get("/elsewhere", &format!("127.0.0.1:{port}")).into_bytes();
    let mut kept = Vec::new();
    for request in [http2, refused] {
        for _ in 0..100 {
            let mut stream = connect(port).await;
            stream.write_all(&request).await.unwrap();
            // Kept open on this side, unread.
            kept.push(stream);
        }
    }
    let browser = tokio::spawn(async move { raw(port, &get("/callback?q", &format!("[::1]:{port}"))).await });
    let visit = listener.next().await.unwrap();
    visit.answer(Page::Success { service: "Front".to_owned() });
    assert!(browser.await.unwrap().starts_with("HTTP/1.1 200"));
    for stream in &mut kept[..100] {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "no HTTP/2 was spoken");
    }
    listener.close().await;
}

#[tokio::test]
async fn a_pinned_port_that_is_taken_is_an_error() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let url = Url::parse(&format!("http://{host}:{port}/callback")).unwrap();
        let refused = CallbackListener::bind(&url);
        assert!(matches!(refused, Err(WebError::PortTaken { port: taken }) if taken == port), "{refused:?}");
    }
    for url in ["http://0.0.0.0:0/", "http://example.com:0/", "https://localhost:0/"] {
        let refused = CallbackListener::bind(&Url::parse(url).unwrap());
        assert!(matches!(refused, Err(WebError::NotLoopback { .. })), "{url}");
    }
}

#[tokio::test]
async fn localhost_is_answered_in_both_families() {
    let mut listener = bind("http://localhost:0/back/here");
    let port = port(&listener);
    assert_eq!(listener.redirect_uri().as_str(), format!("http://localhost:{port}/back/here"));
    for address in ["127.0.0.1", "::1"] {
        let Ok(mut stream) = TcpStream::connect((address, port)).await else { continue };
        let request = get("/back/here?x", &format!("localhost:{port}"));
        stream.write_all(request.as_bytes()).await.unwrap();
        let visit = listener.next().await.unwrap();
        visit.answer(Page::Success { service: "Front".to_owned() });
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{address}");
    }
    listener.close().await;
}
