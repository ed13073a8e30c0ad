//! GET requests to addresses that the user granted. Needs `http-allow` for the host and port; redirects and
//! resolved addresses are checked too.

use crate::bindings::host::todohost::plugin::http_probe as host;
use crate::{Label, Result};
use std::time::Duration;

pub use host::Response;

/// A request, built step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request(host::Request);

impl Request {
    /// A GET of this address: 5 seconds, at most 64 KiB of body.
    pub fn get(url: impl Into<String>) -> Self {
        Self(host::Request {
            url: url.into(),
            headers: Vec::new(),
            timeout_ms: 5_000,
            body_limit: 64 * 1024,
        })
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push(Label::new(key, value));
        self
    }

    /// How long to wait for the whole answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// How much of the body to read.
    #[must_use]
    pub fn body_limit(mut self, bytes: u32) -> Self {
        self.0.body_limit = bytes;
        self
    }

    /// Sends it. A status that is not 200 is an answer, not an error.
    ///
    /// # Errors
    /// When not granted, or when nothing answers in time.
    pub fn send(self) -> Result<Response> {
        host::get(&self.0)
    }
}

impl Response {
    /// The body as text; bytes that are no text become the replacement character.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
