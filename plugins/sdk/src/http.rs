//! GET requests to granted addresses.
//!
//! A request needs the grant `http-allow` for its host and port. The host also checks redirects and the IP addresses
//! to which names resolve.
//!
//! ```no_run
//! use std::time::Duration;
//! use todohost_plugin::http::Request;
//!
//! # fn main() -> todohost_plugin::Result<()> {
//! let response = Request::get("http://localhost:5000/v2/").timeout(Duration::from_secs(2)).send()?;
//! println!("{}: {}", response.status, response.text());
//! # Ok(())
//! # }
//! ```

use crate::bindings::host::todohost::plugin::http_probe as host;
use crate::{Label, Result};
use std::time::Duration;

pub use host::Response;

/// A GET request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request(host::Request);

impl Request {
    /// A request for this URL, with a timeout of 5 seconds and a body limit of 64 KiB.
    pub fn get(url: impl Into<String>) -> Self {
        Self(host::Request {
            url: url.into(),
            headers: Vec::new(),
            timeout_ms: 5_000,
            body_limit: 64 * 1024,
        })
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push(Label::new(key, value));
        self
    }

    /// Sets the timeout, which includes the body.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// Sets the size limit of the response's body in bytes. A larger body is an error.
    #[must_use]
    pub fn body_limit(mut self, bytes: u32) -> Self {
        self.0.body_limit = bytes;
        self
    }

    /// Sends the request. A response with an error status is `Ok`.
    ///
    /// # Errors
    /// Fails without the grant, and if no response arrives within the timeout.
    pub fn send(self) -> Result<Response> {
        host::get(&self.0)
    }
}

impl Response {
    /// The body as text; invalid UTF-8 is replaced by U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
