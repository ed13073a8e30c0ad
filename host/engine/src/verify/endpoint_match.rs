//! Whether an address of this machine leads to this cluster's Service, judged by its answers.
//!
//! Requests the same page from the address and from a pod, and compares the answers. An answer alone proves little: the
//! port may belong to another program, or to another cluster that runs the same app.

use std::pin::pin;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// Longer pages are not compared, in bytes.
const PAGE_LIMIT: usize = 1 << 20;

/// The answer to `GET /`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    /// `None` if it is too long or broke off.
    body: Option<Bytes>,
}

/// How the answer at an address compares with that of the Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It names a pod of this cluster.
    Ours,
    /// The Service answers something else.
    Other,
    /// The Service answers the same, and so would the same app in another cluster.
    Same,
}

/// Host and port of an address.
pub(super) fn place(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), url.port_or_known_default()?))
}

/// The answer at an address; `None` if no HTTP server answers in time.
pub(super) async fn ask_address(url: &str, limit: Duration) -> Option<Answer> {
    let (host, port) = place(url)?;
    let asked = async {
        let stream = TcpStream::connect((host.as_str(), port)).await.ok()?;
        ask(stream, url).await
    };
    timeout(limit, asked).await.ok()?
}

/// The answer on a stream to a request for the address `url`.
pub(super) async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin, url: &str) -> Option<Answer> {
    let authority = Url::parse(url).ok()?.authority().to_owned();
    let request = Request::get("/")
        .header(HOST, authority)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut exchange = pin!(async move {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = Limited::new(body, PAGE_LIMIT).collect().await.ok();
        let body = body.map(http_body_util::Collected::to_bytes);
        Some(Answer { status: head.status.as_u16(), headers: head.headers, body })
    });
    tokio::select! {
        biased;
        answer = &mut exchange => return answer,
        // The connection may end with the last bytes of the answer.
        _ = connection => {}
    }
    exchange.await
}

/// Compares the answer at an address with two answers of a pod of the Service to the same request. `pods` are the names
/// of the Service's pods that no other cluster can have.
pub(super) fn compare(address: &Answer, service: &[Answer], pods: &[String]) -> Match {
    let names_a_pod = |answer: &Answer| pods.iter().any(|pod| answer.holds(pod));
    if names_a_pod(address) {
        return Match::Ours;
    }
    let Some((first, others)) = service.split_first() else { return Match::Same };
    if service.iter().any(names_a_pod) {
        return Match::Other;
    }
    let kind = |answer: &Answer| (answer.status, answer.headers.get(CONTENT_TYPE).cloned());
    // A page that changes with every request proves nothing.
    let is_steady = first.body.is_some() && others.iter().all(|other| other.body == first.body);
    let differs = kind(address) != kind(first) || (is_steady && address.body != first.body);
    if differs { Match::Other } else { Match::Same }
}

impl Answer {
    fn holds(&self, text: &str) -> bool {
        let has = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        self.headers.values().any(|value| has(value.as_bytes()))
            || self.body.as_ref().is_some_and(|body| has(body))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        Answer { status, headers, body: Some(Bytes::from_static(body.as_bytes())) }
    }

    fn judged(address: &Answer, first: &Answer, second: &Answer) -> Match {
        let pods = ["web-5d8f-abcde".to_owned(), "web-5d8f-fghij".to_owned()];
        compare(address, &[first.clone(), second.clone()], &pods)
    }

    #[test]
    fn another_app_is_not_ours() {
        let shop = answer(200, "shop");
        assert_eq!(judged(&answer(200, "shop"), &shop, &shop), Match::Same);
        assert_eq!(judged(&answer(200, "blog"), &shop, &shop), Match::Other);
        assert_eq!(judged(&answer(404, "shop"), &shop, &shop), Match::Other);
    }

    #[test]
    fn pages_that_always_differ_are_compared_by_their_kind() {
        let (one, two) = (answer(200, "token 1"), answer(200, "token 2"));
        assert_eq!(judged(&answer(200, "token 3"), &one, &two), Match::Same);
        assert_eq!(judged(&answer(302, ""), &one, &two), Match::Other);
    }

    #[test]
    fn an_answer_with_a_pod_name_is_proof() {
        let one = answer(200, "I am web-5d8f-abcde");
        // The other replica answered.
        assert_eq!(judged(&answer(200, "I am web-5d8f-fghij"), &one, &one), Match::Ours);
        // The same app, in another cluster.
        assert_eq!(judged(&answer(200, "I am web-5d8f-zzzzz"), &one, &one), Match::Other);
    }

    #[test]
    fn without_a_pod_to_ask_nothing_is_known() {
        assert_eq!(compare(&answer(200, "x"), &[], &[]), Match::Same);
    }

    #[tokio::test]
    async fn a_server_without_http_gives_no_answer() {
        use tokio::io::AsyncWriteExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for words in ["220 mail\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 16];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut request).await.unwrap();
                stream.write_all(words.as_bytes()).await.unwrap();
            }
        });
        let limit = Duration::from_secs(5);
        assert_eq!(ask_address(&url, limit).await, None);
        let answer = ask_address(&url, limit).await.unwrap();
        assert_eq!((answer.status, answer.body.as_deref()), (200, Some(&b"ok"[..])));
        server.await.unwrap();
        assert_eq!(ask_address(&url, limit).await, None);
    }
}
