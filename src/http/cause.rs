//! What broke an exchange, in words that no server chose.

use std::error::Error;
use std::fmt;

use crate::redact::{causes, joined};

/// A failed request of reqwest's, with all that caused it in its text. What a server gives beside the code
/// that ends an HTTP/2 connection (RFC 9113 §6.8, "Additional Debug Data") is not repeated: it may be what
/// it was sent.
pub struct Cause(reqwest::Error);

impl Cause {
    /// Takes over an error whose URL is dropped, for its query may hold what must not be printed.
    pub(super) fn of(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }

    /// Whether it is that something took too long.
    pub fn is_timeout(&self) -> bool {
        self.0.is_timeout()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&joined(self.0.to_string(), causes(&self.0).map(in_our_words)))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cause({self})")
    }
}

impl Error for Cause {}

fn in_our_words(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<h2::Error>() {
        Some(ended) if ended.is_go_away() => {
            let reason = ended.reason().unwrap_or(h2::Reason::NO_ERROR);
            format!("the HTTP/2 connection was ended: {reason}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// SETTINGS, and a GOAWAY of ENHANCE_YOUR_CALM with debug data (RFC 9113 §6.5, §6.8).
    const GOODBYE: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x11\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0bsk-secret";

    /// How long a client's first words are (RFC 9113 §3.4), in bytes.
    const PREFACE: usize = 24;
    /// The type of the frame that begins a request (RFC 9113 §6.2).
    const HEADERS: u8 = 1;

    /// Reads a frame, and gives its type (RFC 9113 §4.1).
    fn next_frame(stream: &mut impl Read) -> u8 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).unwrap();
        head[3]
    }

    #[tokio::test]
    async fn what_a_server_says_at_the_end_of_a_connection_is_not_repeated() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut [0; PREFACE]).unwrap();
            // A connection that ends before the request is on it is another error.
            while next_frame(&mut stream) != HEADERS {}
            stream.write_all(GOODBYE).unwrap();
            // It ends with the client's.
            let _rest = stream.read_to_end(&mut Vec::new());
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            reqwest::Client::builder().http2_prior_knowledge().no_proxy().tls_certs_only([]).build().unwrap();
        let error = client.get(url).send().await.unwrap_err();
        drop(client);
        assert!(crate::redact::with_causes(&error).contains("sk-secret"), "{error:?}");
        let cause = Cause::of(error);
        let told = format!("{cause} {cause:?}");
        assert!(told.contains("the HTTP/2 connection was ended: ") && !told.contains("sk-secret"), "{told}");
        server.join().unwrap();
    }
}
