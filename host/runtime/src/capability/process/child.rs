//! A running program and its output, which a component reads line by line.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::spawn::{Group, PermittedCommand, failed};
use crate::plugin::wit::imports::process::Source;
use crate::plugin::wit::{Error, ErrorKind};

const MAX_LINE: u64 = 256 * 1024;
/// Lines in the buffer. If it is full, the program blocks.
const BUFFERED: usize = 256;

/// A running program. Dropping it ends the program and its child processes.
pub struct ChildLines {
    group: Group,
    program: String,
    lines: mpsc::Receiver<(Source, String)>,
    readers: JoinSet<()>,
    ends: Instant,
    limit: Duration,
    ended: Option<ExitStatus>,
}

impl ChildLines {
    pub(super) fn spawn(call: &PermittedCommand, limit: Duration) -> Result<Self, Error> {
        let mut group = Group::spawn(call, Stdio::null())?;
        let child = group.child().map_err(|error| failed(call, &error))?;
        let (stdout, stderr) = (child.stdout().take(), child.stderr().take());
        let (sender, lines) = mpsc::channel(BUFFERED);
        let mut readers = JoinSet::new();
        if let Some(stdout) = stdout {
            readers.spawn(read(stdout, Source::Stdout, sender.clone()));
        }
        if let Some(stderr) = stderr {
            readers.spawn(read(stderr, Source::Stderr, sender));
        }
        let program = call.program.display().to_string();
        Ok(Self {
            group,
            program,
            lines,
            readers,
            ends: Instant::now() + limit,
            limit,
            ended: None,
        })
    }

    /// The next line of either stream; `None` if both have ended.
    pub(super) async fn next_line(&mut self) -> Result<Option<(Source, String)>, Error> {
        match timeout_at(self.ends, self.lines.recv()).await {
            Ok(line) => Ok(line),
            Err(_) => Err(self.late()),
        }
    }

    pub(super) fn kill(&mut self) {
        self.group.kill();
    }

    /// The exit code; `None` if a signal ended the program.
    pub(super) async fn wait(&mut self) -> Result<Option<i32>, Error> {
        if let Some(status) = self.ended {
            return Ok(status.code());
        }
        // The component stopped reading; do not let the program block on its output.
        self.lines.close();
        match timeout_at(self.ends, self.group.wait()).await {
            Ok(Ok(status)) => {
                self.readers.abort_all();
                self.ended = Some(status);
                Ok(status.code())
            }
            Ok(Err(error)) => {
                let message = format!("cannot wait for `{}`", self.program);
                Err(Error::new(ErrorKind::Internal, "todohost.process.failed", message)
                    .caused_by(&error))
            }
            Err(_) => Err(self.late()),
        }
    }

    fn late(&mut self) -> Error {
        self.group.kill();
        let message = format!("`{}` did not end within {:?}", self.program, self.limit);
        Error::new(ErrorKind::Timeout, "todohost.process.timeout", message)
    }
}

async fn read(
    stream: impl AsyncRead + Unpin,
    source: Source,
    sender: mpsc::Sender<(Source, String)>,
) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let mut open = true;
    loop {
        line.clear();
        // A line longer than `MAX_LINE` arrives in pieces.
        match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if open {
            let text = String::from_utf8_lossy(&line).into_owned();
            open = sender.send((source, text)).await.is_ok();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::spawn::shell;
    use super::*;

    #[tokio::test]
    async fn lines_of_both_streams_are_read_to_the_end() {
        let mut child =
            ChildLines::spawn(&shell("echo one; echo two >&2; exit 4"), Duration::from_secs(20))
                .unwrap();
        let mut lines = Vec::new();
        while let Some((_, line)) = child.next_line().await.unwrap() {
            lines.push(line);
        }
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(child.wait().await.unwrap(), Some(4));
        assert_eq!(child.wait().await.unwrap(), Some(4));
    }

    #[tokio::test]
    async fn a_program_can_end_without_a_reader() {
        let script = "i=0; while [ $i -lt 5000 ]; do echo line; i=$((i+1)); done";
        let mut child = ChildLines::spawn(&shell(script), Duration::from_secs(20)).unwrap();
        assert_eq!(child.wait().await.unwrap(), Some(0));
    }

    #[tokio::test]
    async fn time_runs_out() {
        let mut child = ChildLines::spawn(&shell("sleep 600"), Duration::from_millis(50)).unwrap();
        assert_eq!(child.next_line().await.unwrap_err().kind, ErrorKind::Timeout);
        let mut child = ChildLines::spawn(&shell("sleep 600"), Duration::from_mins(1)).unwrap();
        child.kill();
        assert_eq!(child.wait().await.unwrap(), None);
    }
}
