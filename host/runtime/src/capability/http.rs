//! GET over HTTP to places that were granted; each redirect is checked like the first address.

use std::time::{Duration, Instant};

use http::header::{HOST, LOCATION};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;
use wasmtime::Result as EngineResult;

use super::host_call::HostCall;
use super::{Capability, tcp};
use crate::plugin::State;
use crate::plugin::wit::imports::http_probe;
use crate::plugin::wit::imports::tcp::Trust;
use crate::plugin::wit::{Error, ErrorKind, Label};

const MAX_WAIT: Duration = Duration::from_mins(1);
const MAX_BODY: u32 = 4 * 1024 * 1024;
const MAX_REDIRECTS: usize = 5;
const MAX_HEADERS: usize = 50;

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "todohost.http.invalid", message)
}

/// Host and port of an address that can be asked.
fn place(url: &Url) -> Result<(String, u16), Error> {
    if !matches!(url.scheme(), "http" | "https")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(invalid(format!("{url} is not a plain http or https address")));
    }
    let host = url.host_str().ok_or_else(|| invalid(format!("{url} names no host")))?;
    let port =
        url.port_or_known_default().ok_or_else(|| invalid(format!("{url} names no port")))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

impl http_probe::Host for State {
    async fn get(
        &mut self,
        request: http_probe::Request,
    ) -> EngineResult<Result<http_probe::Response, Error>> {
        let began = Instant::now();
        let limit = Duration::from_millis(request.timeout_ms.into()).min(MAX_WAIT);
        let answer =
            tokio::time::timeout(limit, self.follow(&request)).await.unwrap_or_else(|_| {
                let message = format!("{} does not answer within {limit:?}", request.url);
                Err(Error::new(ErrorKind::Timeout, "todohost.http.timeout", message))
            });
        Ok(answer.map(|(status, headers, body)| http_probe::Response {
            status,
            headers,
            body: self.redacted(body),
            elapsed_ms: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX),
        }))
    }
}

impl State {
    async fn follow(
        &mut self,
        request: &http_probe::Request,
    ) -> Result<(u16, Vec<Label>, Vec<u8>), Error> {
        let parse = |text: &str| {
            Url::parse(text).map_err(|error| invalid(format!("{text} is not an address: {error}")))
        };
        let mut url = parse(&request.url)?;
        let mut headers: &[Label] = &request.headers;
        for _ in 0..=MAX_REDIRECTS {
            let (host, port) = place(&url)?;
            let granted = self.scope.http(&host, port);
            let host_call = HostCall {
                capability: Capability::HttpProbe,
                function: "get",
                detail: url.to_string(),
                deadline: MAX_WAIT,
            };
            let answer = self
                .call(host_call, granted, ask(&url, &host, port, headers, request.body_limit))
                .await?;
            let redirect = matches!(answer.0, 301 | 302 | 303 | 307 | 308)
                .then(|| answer.1.iter().find(|label| label.key == LOCATION.as_str()))
                .flatten();
            let Some(location) = redirect else { return Ok(answer) };
            let next = url
                .join(&location.value)
                .map_err(|error| invalid(format!("{url} redirects to nowhere: {error}")))?;
            if next.origin() != url.origin() {
                // Headers may hold credentials for the first host only.
                headers = &[];
            }
            url = next;
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "todohost.http.redirects",
            format!("{} redirects more than {MAX_REDIRECTS} times", request.url),
        ))
    }

    /// Redacts a body or an output. Bytes that are not UTF-8 are returned unchanged.
    pub(super) fn redacted(&self, bytes: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(bytes) {
            Ok(text) => self.context.environment.vault.redact_output(&text).into_bytes(),
            Err(error) => error.into_bytes(),
        }
    }
}

async fn ask(
    url: &Url,
    host: &str,
    port: u16,
    headers: &[Label],
    body_limit: u32,
) -> Result<(u16, Vec<Label>, Vec<u8>), Error> {
    let stream = tcp::connect(host, port, false, MAX_WAIT).await?;
    let request = prepare(url, headers)?;
    if url.scheme() == "https" {
        let place = format!("{host}:{port}");
        let stream = tcp::agree(stream, &place, host.to_owned(), Trust::VerifyFull, None).await?;
        exchange(url, stream, request, body_limit).await
    } else {
        exchange(url, stream, request, body_limit).await
    }
}

fn prepare(url: &Url, headers: &[Label]) -> Result<Request<Empty<Bytes>>, Error> {
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let target: Uri = target.parse().map_err(|error| invalid(format!("{url}: {error}")))?;
    let authority = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut request = Request::get(target)
        .header(HOST, authority)
        .body(Empty::new())
        .map_err(|error| invalid(format!("{url}: {error}")))?;
    for Label { key, value } in headers.iter().take(MAX_HEADERS) {
        let name: HeaderName =
            key.parse().map_err(|_| invalid(format!("{key:?} is not the name of a header")))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| invalid(format!("the value of header {key} is not printable")))?;
        if name != HOST {
            request.headers_mut().insert(name, value);
        }
    }
    Ok(request)
}

async fn exchange<S>(
    url: &Url,
    stream: S,
    request: Request<Empty<Bytes>>,
    body_limit: u32,
) -> Result<(u16, Vec<Label>, Vec<u8>), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| {
        Error::new(
            ErrorKind::Unavailable,
            "todohost.http.failed",
            format!("{url} does not answer in HTTP"),
        )
        .caused_by(&error)
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        read(url, response, body_limit).await
    };
    tokio::pin!(connection);
    tokio::pin!(asking);
    // The connection ends with the answer: nothing runs on after the call.
    tokio::select! {
        answer = &mut asking => answer,
        closed = &mut connection => {
            closed.map_err(failed)?;
            asking.await
        }
    }
}

async fn read(
    url: &Url,
    response: Response<Incoming>,
    body_limit: u32,
) -> Result<(u16, Vec<Label>, Vec<u8>), Error> {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .take(MAX_HEADERS)
        .map(|(name, value)| Label {
            key: name.as_str().to_owned(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        })
        .collect();
    let limit = body_limit.min(MAX_BODY) as usize;
    let body = Limited::new(response.into_body(), limit).collect().await.map_err(|error| {
        Error::new(
            ErrorKind::Unavailable,
            "todohost.http.body",
            format!("{url} sends more than {limit} bytes, or breaks off"),
        )
        .caused_by(&*error)
    })?;
    Ok((status, headers, body.to_bytes().to_vec()))
}
