//! TCP connections to granted addresses.
//!
//! A connection needs the grant `tcp-connect` for the host and port, or for the secret that contains them.
//!
//! ```no_run
//! use std::time::Duration;
//! use todohost_plugin::tcp::Connection;
//!
//! # fn main() -> todohost_plugin::Result<()> {
//! let timeout = Duration::from_secs(2);
//! let connection = Connection::open("db.example", 6379, timeout)?;
//! connection.write(b"PING\r\n")?;
//! assert!(connection.read(64, timeout)?.starts_with(b"+PONG"));
//! # Ok(())
//! # }
//! ```

use crate::Result;
use crate::bindings::host::todohost::plugin::tcp as host;
use std::time::Duration;

pub use host::Trust;

/// An open connection. Dropping it closes the connection.
#[derive(Debug)]
pub struct Connection(host::Connection);

impl Connection {
    /// Opens a connection from the user's machine.
    ///
    /// # Errors
    /// Fails without the grant, and if the address does not accept the connection within the timeout.
    pub fn open(host: &str, port: u16, timeout: Duration) -> Result<Self> {
        Ok(Self(host::Connection::open(host, port, milliseconds(timeout))?))
    }

    /// Opens a connection from a pod in the selected cluster, which the host creates for the call. Needs the grant
    /// `tcp-connect-from-cluster` for the secret that contains the address. `timeout` begins when the pod runs.
    ///
    /// # Errors
    /// Fails without the grant, if the pod does not start, and if the address does not accept the connection within the
    /// timeout.
    pub fn open_from_cluster(host: &str, port: u16, timeout: Duration) -> Result<Self> {
        Ok(Self(host::Connection::open_from_cluster(host, port, milliseconds(timeout))?))
    }

    /// Upgrades the connection to TLS.
    ///
    /// # Errors
    /// Fails if the handshake fails or the certificate does not meet `trust`.
    pub fn start_tls(&self, server_name: &str, trust: Trust, ca: Option<&[u8]>) -> Result<()> {
        self.0.start_tls(server_name, trust, ca)
    }

    /// Reads up to `max` bytes. An empty result is the end of the stream.
    ///
    /// # Errors
    /// Fails if no data arrives within the timeout or the connection breaks.
    pub fn read(&self, max: u32, timeout: Duration) -> Result<Vec<u8>> {
        self.0.read(max, milliseconds(timeout))
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// Fails if the connection breaks.
    pub fn write(&self, data: &[u8]) -> Result<()> {
        self.0.write(data)
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
