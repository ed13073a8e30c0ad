//! Connections to addresses that the user granted. Needs `tcp-connect` for the host and port, or for the secret
//! that names them.

use crate::Result;
use crate::bindings::host::todohost::plugin::tcp as host;
use std::time::Duration;

pub use host::Trust;

/// An open connection; dropping it closes it.
#[derive(Debug)]
pub struct Connection(host::Connection);

impl Connection {
    /// Opens a connection.
    ///
    /// # Errors
    /// When not granted, or when nothing answers in time.
    pub fn open(host: &str, port: u16, timeout: Duration) -> Result<Self> {
        Ok(Self(host::Connection::open(host, port, milliseconds(timeout))?))
    }

    /// The same from a pod that the host makes for it. Needs `tcp-connect-from-cluster` for the secret that names the
    /// place. `timeout` begins once the pod runs.
    ///
    /// # Errors
    /// When not granted, when there is no such pod, or when nothing answers it in time.
    pub fn open_from_cluster(host: &str, port: u16, timeout: Duration) -> Result<Self> {
        Ok(Self(host::Connection::open_from_cluster(host, port, milliseconds(timeout))?))
    }

    /// Goes on in TLS.
    ///
    /// # Errors
    /// When the handshake fails or the certificate is not trusted as asked.
    pub fn start_tls(&self, server_name: &str, trust: Trust, ca: Option<&[u8]>) -> Result<()> {
        self.0.start_tls(server_name, trust, ca)
    }

    /// Up to `max` bytes; empty at the end.
    ///
    /// # Errors
    /// When nothing comes in time or the connection breaks.
    pub fn read(&self, max: u32, timeout: Duration) -> Result<Vec<u8>> {
        self.0.read(max, milliseconds(timeout))
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn write(&self, data: &[u8]) -> Result<()> {
        self.0.write(data)
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
