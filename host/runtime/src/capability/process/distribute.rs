//! Feeds one program's output to several programs at the same time. Each gets only the archive entries that it lacks.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;

use futures::future::try_join_all;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::archive::{Entries, Piece};
use super::spawn::{Group, Kept, Output, PermittedCommand, collect, failed};
use crate::plugin::wit::Error;

/// Pieces in the buffer of a sink. If it is full, the source and the other sinks wait.
const WAITING: usize = 32;
const CHUNK: usize = 64 * 1024;

/// A program to feed, and the archive entries that it has already.
pub(super) struct Sink {
    pub call: PermittedCommand,
    pub without: BTreeSet<String>,
}

/// The output of a sink, and the number of bytes that it got.
pub(super) struct SinkOutput {
    pub output: Output,
    pub bytes: u64,
}

/// Runs the source and all sinks to their ends.
pub(super) async fn distribute(
    source: &PermittedCommand,
    sinks: &[Sink],
) -> Result<(Output, Vec<SinkOutput>), Error> {
    let mut group = Group::spawn(source, Stdio::null())?;
    let child = group.child().map_err(|error| failed(source, &error))?;
    let (stdout, stderr) = (child.stdout().take(), child.stderr().take());
    let mut senders = Vec::with_capacity(sinks.len());
    let mut fed = Vec::with_capacity(sinks.len());
    for sink in sinks {
        let group = Group::spawn(&sink.call, Stdio::piped())?;
        let (sender, receiver) = mpsc::channel(WAITING);
        senders.push((sender, &sink.without));
        fed.push(feed(&sink.call, group, receiver));
    }
    let give = async {
        let mut errors = Kept::default();
        // `collect` would stop reading after the source's end; a slow sink must still get all bytes.
        tokio::join!(give_out(stdout, senders), errors.fill(stderr));
        let status = group.wait().await.map_err(|error| failed(source, &error))?;
        let Kept { bytes: stderr, truncated } = errors;
        Ok(Output { code: status.code(), stdout: Vec::new(), stderr, truncated })
    };
    tokio::try_join!(give, try_join_all(fed))
}

type Sender<'a> = (mpsc::Sender<Arc<[u8]>>, &'a BTreeSet<String>);

/// Reads to the end, so that the source does not block after a sink has ended.
async fn give_out(stream: Option<impl AsyncRead + Unpin>, senders: Vec<Sender<'_>>) {
    let Some(mut stream) = stream else { return };
    let mut entries = Entries::new();
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        for piece in entries.push(&buffer[..length]) {
            send(&senders, &piece).await;
        }
    }
    if let Some(piece) = entries.finish() {
        send(&senders, &piece).await;
    }
}

async fn send(senders: &[Sender<'_>], piece: &Piece) {
    for (sender, without) in senders {
        let is_left_out = piece.entry.as_deref().is_some_and(|name| without.contains(name));
        if !is_left_out {
            // The exit code of a sink that has ended gives the reason.
            let _ = sender.send(Arc::clone(&piece.bytes)).await;
        }
    }
}

async fn feed(
    call: &PermittedCommand,
    mut group: Group,
    mut pieces: mpsc::Receiver<Arc<[u8]>>,
) -> Result<SinkOutput, Error> {
    let child = group.child().map_err(|error| failed(call, &error))?;
    let (stdin, stdout, stderr) =
        (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let mut bytes = 0;
    let write = async {
        let Some(mut stdin) = stdin else { return };
        while let Some(piece) = pieces.recv().await {
            if stdin.write_all(&piece).await.is_err() {
                return;
            }
            bytes += piece.len() as u64;
        }
    };
    let (mut out, mut err) = (Kept::default(), Kept::default());
    let status = collect(group.wait(), write, out.fill(stdout), err.fill(stderr))
        .await
        .map_err(|error| failed(call, &error))?;
    let truncated = out.truncated || err.truncated;
    let output = Output { code: status.code(), stdout: out.bytes, stderr: err.bytes, truncated };
    Ok(SinkOutput { output, bytes })
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::spawn::shell;
    use super::*;

    fn sink(script: &str, without: &[&str]) -> Sink {
        let without = without.iter().map(|&name| name.to_owned()).collect();
        Sink { call: shell(script), without }
    }

    #[tokio::test]
    async fn slow_sinks_get_all_bytes() {
        let size = 3_000_000;
        let source = shell(&format!("head -c {size} /dev/zero; echo done >&2"));
        let sinks = [sink("wc -c", &[]), sink("sleep 3; wc -c", &[])];
        let (given, fed) = distribute(&source, &sinks).await.unwrap();
        assert_eq!((given.code, given.stderr.as_slice()), (Some(0), b"done\n".as_slice()));
        for one in fed {
            assert_eq!(String::from_utf8_lossy(&one.output.stdout).trim(), size.to_string());
            assert_eq!(one.bytes, size);
        }
    }

    #[tokio::test]
    async fn a_sink_does_not_get_entries_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["one", "two", "three"] {
            std::fs::write(folder.path().join(name), vec![b'x'; 100_000]).unwrap();
        }
        let source = shell(&format!("tar -cf - -C {} one two three", folder.path().display()));
        let sinks = [sink("tar -tf -", &[]), sink("tar -tf -", &["one", "three"])];
        let (_, fed) = distribute(&source, &sinks).await.unwrap();
        assert_eq!(fed[0].output.stdout, b"one\ntwo\nthree\n");
        assert_eq!(fed[1].output.stdout, b"two\n");
        assert!(fed[1].bytes < fed[0].bytes / 2, "{} of {}", fed[1].bytes, fed[0].bytes);
    }

    #[tokio::test]
    async fn a_failed_sink_does_not_block_the_others() {
        let source = shell("head -c 3000000 /dev/zero");
        let sinks = [sink("echo full >&2; exit 3", &[]), sink("wc -c", &[])];
        let (given, fed) = distribute(&source, &sinks).await.unwrap();
        assert_eq!(given.code, Some(0));
        assert_eq!(
            (fed[0].output.code, fed[0].output.stderr.as_slice()),
            (Some(3), b"full\n".as_slice())
        );
        assert_eq!(String::from_utf8_lossy(&fed[1].output.stdout).trim(), "3000000");
    }

    #[tokio::test]
    async fn a_failed_source_is_reported() {
        let (given, fed) =
            distribute(&shell("echo gone >&2; exit 5"), &[sink("cat", &[])]).await.unwrap();
        assert_eq!((given.code, given.stderr.as_slice()), (Some(5), b"gone\n".as_slice()));
        assert_eq!(fed[0].bytes, 0);
    }
}
