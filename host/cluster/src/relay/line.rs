//! One connection through a relay's pod: the first lines of its program, and then the bytes.
//!
//! Owns the programs, one for each interpreter that images have, and the lines in which they report the result.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, AttachedProcess};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, Join, ReadBuf, ReadHalf, SimplexStream, WriteHalf,
};
use tokio::time::timeout;

use super::super::error::Cause;
use super::super::{Client, ClusterError};
use super::RelayError;
use todohost_model::object::ObjectRef;

const SHELL: &str = include_str!("relay.sh");
const PYTHON: &str = include_str!("relay.py");
const NODE: &str = include_str!("relay.js");

/// The first word of every line of the programs.
const MARK: &str = "relay ";
/// No line of theirs is longer.
const LONGEST: usize = 256;
/// Bytes that may be on their way.
const BUFFER: usize = 64 * 1024;
/// How long the pod may take to start a program.
const BEGIN: Duration = Duration::from_secs(10);

/// A connection; dropping it ends it.
pub struct PodStream {
    bytes: Join<ReadHalf<SimplexStream>, WriteHalf<SimplexStream>>,
    // It carries the bytes for as long as it is there.
    _process: AttachedProcess,
}

impl AsyncRead for PodStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(context, buffer)
    }
}

impl AsyncWrite for PodStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}

/// The report of a program before the bytes.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Trying,
    Connected,
    UnknownHost,
    Refused,
    /// The image has nothing that could connect.
    Nothing,
    Failed(String),
}

impl Word {
    fn of(line: &str) -> Option<Self> {
        Some(match line.strip_prefix(MARK)? {
            "trying" => Self::Trying,
            "connected" => Self::Connected,
            "unknown-host" => Self::UnknownHost,
            "refused" => Self::Refused,
            "nothing" => Self::Nothing,
            other => {
                let reason = other.strip_prefix("failed ")?;
                Self::Failed(reason.chars().filter(|letter| !letter.is_control()).collect())
            }
        })
    }
}

impl Client {
    /// A connection from a container; `None` if the container has no suitable program.
    pub(super) async fn line(
        &self,
        pod: &ObjectRef,
        container: &str,
        (host, port): (&str, u16),
        limit: Duration,
    ) -> Result<Option<PodStream>, RelayError> {
        let action = || format!("run a program in {pod}");
        let namespace = pod.namespace.as_deref().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.shared.http.clone(), namespace);
        let parameters = AttachParams {
            container: Some(container.to_owned()),
            stdin: true,
            stdout: true,
            stderr: false,
            max_stdin_buf_size: Some(BUFFER),
            max_stdout_buf_size: Some(BUFFER),
            ..AttachParams::default()
        };
        let port = port.to_string();
        let command = ["sh", "-c", SHELL, "relay", host, &port, PYTHON, NODE];
        let opening = timeout(BEGIN, pods.exec(&pod.name, command, &parameters));
        let late = ClusterError::Timeout { action: action(), limit: BEGIN };
        let opened = opening.await.map_err(|_| late)?;
        let mut process = opened.map_err(|error| self.upgrade_refused(&error, action()))?;
        let (Some(output), Some(input)) = (process.stdout(), process.stdin()) else {
            let cause = Cause::new("the program has no input or output");
            return Err(ClusterError::Answer { action: action(), cause }.into());
        };
        let mut line = PodStream { bytes: tokio::io::join(output, input), _process: process };
        match timeout(BEGIN, word(&mut line)).await {
            Ok(Some(Word::Trying)) => {}
            // No shell, no program, or one that says something else: another image may have it.
            _ => return Ok(None),
        }
        match timeout(limit, word(&mut line)).await {
            Err(_) => Err(RelayError::Timeout),
            Ok(Some(Word::Connected)) => Ok(Some(line)),
            Ok(Some(Word::UnknownHost)) => Err(RelayError::UnknownHost),
            Ok(Some(Word::Refused)) => Err(RelayError::Refused),
            Ok(Some(Word::Failed(reason))) => Err(RelayError::Failed(reason)),
            Ok(Some(Word::Trying | Word::Nothing) | None) => Ok(None),
        }
    }
}

/// The next line; `None` at the end, or if the line is not a relay's.
async fn word(from: &mut (impl AsyncRead + Unpin)) -> Option<Word> {
    let mut line = Vec::new();
    while line.len() < LONGEST {
        match from.read_u8().await.ok()? {
            b'\n' => return Word::of(&String::from_utf8_lossy(&line)),
            byte => line.push(byte),
        }
    }
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::Stdio;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::process::{Child, Command};

    use super::*;

    #[test]
    fn words_are_those_of_the_programs_and_no_other() {
        assert_eq!(Word::of("relay connected"), Some(Word::Connected));
        let failed = Word::Failed("No route to host".to_owned());
        assert_eq!(Word::of("relay failed No route to host"), Some(failed));
        for line in ["connected", "relay", "relay connected now", ""] {
            assert_eq!(Word::of(line), None, "{line}");
        }
    }

    #[tokio::test]
    async fn an_endless_line_is_not_a_report() {
        let endless = vec![b'x'; LONGEST * 2];
        assert_eq!(word(&mut endless.as_slice()).await, None);
        assert_eq!(word(&mut b"relay trying".as_slice()).await, None);
    }

    /// Path of a program on this machine. `python3` may be a script that starts the real one.
    fn found(program: &str) -> PathBuf {
        let (asked, how) = match program {
            "python3" => (program, "import os, sys; print(os.path.realpath(sys.executable))"),
            _ => ("sh", "command -v \"$0\""),
        };
        let answer = std::process::Command::new(asked).args(["-c", how, program]).output().unwrap();
        assert!(answer.status.success(), "{program} is needed");
        PathBuf::from(String::from_utf8(answer.stdout).unwrap().trim())
    }

    /// The relay in an image that has these programs.
    fn relay(image: &Path, programs: &[&str], host: &str, port: u16) -> Child {
        for program in programs {
            let _ = symlink(found(program), image.join(program));
        }
        Command::new(found("sh"))
            .args(["-c", SHELL, "relay", host, &port.to_string(), PYTHON, NODE])
            .env_clear()
            .env("PATH", image)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// The programs of each image; the first that exists is used.
    const IMAGES: [&[&str]; 3] = [&["python3"], &["node"], &["bash", "cat", "tail"]];

    #[tokio::test]
    async fn every_program_passes_bytes_on_and_ends_with_the_server() {
        for programs in IMAGES {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let serving = tokio::spawn(async move {
                loop {
                    let (mut line, _) = listener.accept().await.unwrap();
                    let mut asked = [0; 4];
                    // Some programs first test if the port is open.
                    if line.read_exact(&mut asked).await.is_ok() {
                        line.write_all(&[asked.as_slice(), &[0, 255, b'\n']].concat())
                            .await
                            .unwrap();
                        return;
                    }
                }
            });
            let image = tempfile::tempdir().unwrap();
            let mut child = relay(image.path(), programs, "127.0.0.1", port);
            let (mut input, mut output) =
                (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            assert_eq!(word(&mut output).await, Some(Word::Trying), "{programs:?}");
            assert_eq!(word(&mut output).await, Some(Word::Connected), "{programs:?}");
            input.write_all(b"\0abc").await.unwrap();
            let mut answer = Vec::new();
            let reading = output.read_to_end(&mut answer);
            timeout(BEGIN, reading).await.expect("it ends with the server").unwrap();
            assert_eq!(answer, b"\0abc\0\xff\n", "{programs:?}");
            serving.await.unwrap();
        }
    }

    #[tokio::test]
    async fn every_program_reports_why_a_connection_failed() {
        let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
        for programs in IMAGES {
            for (host, expected) in
                [("127.0.0.1", Word::Refused), ("no-such-host.invalid", Word::UnknownHost)]
            {
                let image = tempfile::tempdir().unwrap();
                let mut child = relay(image.path(), programs, host, free);
                let mut output = child.stdout.take().unwrap();
                assert_eq!(word(&mut output).await, Some(Word::Trying), "{programs:?}");
                assert_eq!(word(&mut output).await, Some(expected), "{programs:?} {host}");
            }
        }
    }

    #[tokio::test]
    async fn an_image_without_any_of_them_says_so() {
        let image = tempfile::tempdir().unwrap();
        let mut child = relay(image.path(), &["cat"], "127.0.0.1", 1);
        let mut output = child.stdout.take().unwrap();
        assert_eq!(word(&mut output).await, Some(Word::Nothing));
    }
}
