//! Programs in pods of a scripted cluster.
//!
//! The only program is the relay: it connects to an address and passes bytes on. Its arguments end in the word `relay`,
//! a host and a port. The script sets the peers that pods reach. Images named `scratch` do not contain the relay.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::State;

/// Peer that a pod reaches at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromPods {
    /// A server at this port of this machine.
    Server(u16),
    /// The relay prints this error and exits, e.g. `refused`.
    Fails(String),
    /// The peer never answers.
    Silence,
}

/// Reports whether the pod's container sleeps until the pod is deleted.
pub(super) fn sleeps(pod: &Value) -> bool {
    pod["spec"]["containers"][0]["command"][0] == "sleep"
}

/// Runs a program with an open connection as its input and output.
pub(super) async fn run<S>(
    state: State,
    container: Value,
    command: Vec<String>,
    mut socket: WebSocketStream<S>,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut arguments = command.into_iter().skip_while(|argument| argument != "relay").skip(1);
    let place = format!(
        "{}:{}",
        arguments.next().unwrap_or_default(),
        arguments.next().unwrap_or_default()
    );
    let image = container["image"].as_str().unwrap_or_default();
    if image.starts_with("scratch") {
        print(&mut socket, b"relay nothing\n").await?;
        return socket.close(None).await;
    }
    print(&mut socket, b"relay trying\n").await?;
    let met = state.script().from_pods.get(&place).cloned();
    let server = match met.unwrap_or_else(|| FromPods::Fails("unknown-host".to_owned())) {
        FromPods::Silence => return std::future::pending().await,
        FromPods::Fails(words) => {
            print(&mut socket, format!("relay {words}\n").as_bytes()).await?;
            return socket.close(None).await;
        }
        FromPods::Server(port) => TcpStream::connect(("127.0.0.1", port)).await,
    };
    let mut server = server.map_err(Error::Io)?;
    print(&mut socket, b"relay connected\n").await?;
    let mut bytes = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                Some(Message::Binary(data)) if data.first() == Some(&0) => {
                    server.write_all(&data[1..]).await.map_err(Error::Io)?;
                }
                Some(Message::Close(_)) | None => return Ok(()),
                Some(_) => {}
            },
            read = server.read(&mut bytes) => match read.map_err(Error::Io)? {
                0 => return socket.close(None).await,
                length => print(&mut socket, &bytes[..length]).await?,
            },
        }
    }
}

async fn print<S>(socket: &mut WebSocketStream<S>, text: &[u8]) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.send(Message::binary([&[1], text].concat())).await
}
