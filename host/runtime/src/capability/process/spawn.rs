//! Finds and runs programs, alone or as a pipe.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::plugin::manifest::is_program_byte;
use crate::plugin::wit::{Error, ErrorKind};

/// Bytes kept of each stream; the rest is read and dropped.
const MAX_OUTPUT: usize = 32 * 1024 * 1024;
/// Time to read on after a program's end, because a child process may still hold its output open.
const DRAIN: Duration = Duration::from_secs(2);

/// A command that the grant permits.
pub(super) struct PermittedCommand {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub variables: Vec<(String, String)>,
    pub directory: PathBuf,
}

/// The result of a command.
pub(super) struct Output {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub truncated: bool,
}

/// Finds a program in the absolute directories of the user's `PATH`, so never in the current directory.
pub(super) fn find(
    program: &str,
    environment: &BTreeMap<String, String>,
) -> Result<PathBuf, Error> {
    let missing = || {
        Error::new(
            ErrorKind::NotFound,
            "todohost.process.not-found",
            format!("cannot find the program `{program}`"),
        )
        .with_help(format!("install {program}, or add its directory to PATH"))
    };
    if program.is_empty() || !program.bytes().all(is_program_byte) {
        let message = format!("{program:?} is not the name of a program");
        return Err(Error::new(ErrorKind::InvalidInput, "todohost.process.bad-name", message));
    }
    // The name is `Path` on Windows.
    let path = environment.iter().find(|(name, _)| name.eq_ignore_ascii_case("PATH"));
    let (_, path) = path.ok_or_else(missing)?;
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .map(|mut file| {
            if cfg!(windows) && file.extension().is_none() {
                file.set_extension("exe");
            }
            file
        })
        .find(|file| is_executable(file))
        .ok_or_else(missing)
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

/// A running program. If it is still running, dropping this value ends it and its child processes.
pub(super) struct Group {
    child: Option<Box<dyn ChildWrapper>>,
    #[cfg(unix)]
    guarded: Option<super::guard::Guarded>,
}

impl Group {
    pub(super) fn spawn(call: &PermittedCommand, stdin: Stdio) -> Result<Self, Error> {
        let mut command = Command::new(&call.program);
        command
            .args(&call.args)
            .env_clear()
            .envs(call.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&call.directory)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut command = CommandWrap::from(command);
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        command.wrap(process_wrap::tokio::KillOnDrop);
        let child = command.spawn().map_err(|error| failed(call, &error))?;
        Ok(Self {
            #[cfg(unix)]
            guarded: child.id().map(super::guard::Guarded::new),
            child: Some(child),
        })
    }

    pub(super) fn child(&mut self) -> io::Result<&mut dyn ChildWrapper> {
        match &mut self.child {
            Some(child) => Ok(&mut **child),
            None => Err(io::Error::other("the program has ended")),
        }
    }

    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child()?.wait().await?;
        // The program ended without a signal of the host, so its remaining child processes are intended.
        self.child = None;
        #[cfg(unix)]
        drop(self.guarded.take());
        Ok(status)
    }

    pub(super) fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails only if the group has ended already.
            let _ = child.start_kill();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An error of the operating system about a call.
pub(super) fn failed(call: &PermittedCommand, error: &io::Error) -> Error {
    let message = format!("cannot run `{}`", call.program.display());
    Error::new(ErrorKind::Unavailable, "todohost.process.failed", message).caused_by(error)
}

/// Runs a program to its end.
pub(super) async fn run(call: &PermittedCommand, input: Option<Vec<u8>>) -> Result<Output, Error> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut group = Group::spawn(call, stdin)?;
    let child = group.child().map_err(|error| failed(call, &error))?;
    let (sink, stdout, stderr) =
        (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let feed = async {
        if let (Some(mut sink), Some(input)) = (sink, input) {
            // A program may end or close its input before it has read everything; its exit code decides.
            let _ = sink.write_all(&input).await;
        }
    };
    let (mut out, mut err) = (Kept::default(), Kept::default());
    let status = collect(group.wait(), feed, out.fill(stdout), err.fill(stderr))
        .await
        .map_err(|error| failed(call, &error))?;
    Ok(Output {
        code: status.code(),
        truncated: out.truncated || err.truncated,
        stdout: out.bytes,
        stderr: err.bytes,
    })
}

/// Runs programs as a pipe of the operating system.
pub(super) async fn pipe(calls: &[PermittedCommand]) -> Result<Output, Error> {
    let mut groups = Vec::with_capacity(calls.len());
    let mut input = Stdio::null();
    for (at, call) in calls.iter().enumerate() {
        let mut group = Group::spawn(call, std::mem::replace(&mut input, Stdio::null()))?;
        if at + 1 < calls.len() {
            let child = group.child().map_err(|error| failed(call, &error))?;
            if let Some(stdout) = child.stdout().take() {
                input = stdout.try_into().map_err(|error: io::Error| failed(call, &error))?;
            }
        }
        groups.push(group);
    }
    let mut out = Kept::default();
    let mut errors: Vec<Kept> = calls.iter().map(|_| Kept::default()).collect();
    let mut waits = Vec::with_capacity(calls.len());
    let mut stdout = None;
    for ((group, call), error) in groups.iter_mut().zip(calls).zip(&mut errors) {
        let child = group.child().map_err(|error| failed(call, &error))?;
        let stderr = child.stderr().take();
        stdout = child.stdout().take();
        waits.push(async move {
            let nothing = async {};
            collect(group.wait(), nothing, async {}, error.fill(stderr))
                .await
                .map_err(|error| failed(call, &error))
        });
    }
    let ended = futures::future::try_join_all(waits);
    let (ended, ()) = tokio::join!(ended, out.fill(stdout));
    // The first failed program has the cause; the programs after it only reached the end of their input.
    let code = ended?.iter().map(ExitStatus::code).find(|code| *code != Some(0)).unwrap_or(Some(0));
    let truncated = out.truncated || errors.iter().any(|error| error.truncated);
    let stderr = errors.into_iter().flat_map(|error| error.bytes).collect();
    Ok(Output { code, stdout: out.bytes, stderr, truncated })
}

/// Waits for the end of a program while `feed`, `out` and `err` serve its streams.
pub(super) async fn collect(
    wait: impl Future<Output = io::Result<ExitStatus>>,
    feed: impl Future<Output = ()>,
    out: impl Future<Output = ()>,
    err: impl Future<Output = ()>,
) -> io::Result<ExitStatus> {
    let streams = async {
        tokio::join!(feed, out, err);
    };
    tokio::pin!(streams, wait);
    tokio::select! {
        status = &mut wait => {
            let status = status?;
            let _ = timeout(DRAIN, streams).await;
            Ok(status)
        }
        () = &mut streams => wait.await,
    }
}

/// The part of a stream that is kept.
#[derive(Default)]
pub(super) struct Kept {
    pub bytes: Vec<u8>,
    pub truncated: bool,
}

impl Kept {
    /// Reads to the end, so that the program never blocks on its output.
    pub(super) async fn fill(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            let room = MAX_OUTPUT - self.bytes.len();
            self.bytes.extend_from_slice(&buffer[..length.min(room)]);
            self.truncated |= length > room;
        }
    }
}

/// A command with `PATH` as its only variable, for tests.
#[cfg(all(test, unix))]
pub(super) fn call(program: &str, args: &[&str]) -> PermittedCommand {
    PermittedCommand {
        program: PathBuf::from(program),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        variables: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        directory: PathBuf::from("/"),
    }
}

/// A command that runs a shell script, for tests.
#[cfg(all(test, unix))]
pub(super) fn shell(script: &str) -> PermittedCommand {
    call("/bin/sh", &["-c", script])
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn output_and_code_come_back() {
        let output =
            run(&shell("cat; echo problem >&2; exit 3"), Some(b"input".to_vec())).await.unwrap();
        assert_eq!((output.code, output.stdout.as_slice()), (Some(3), b"input".as_slice()));
        assert_eq!(output.stderr, b"problem\n");
        assert!(!output.truncated);
    }

    #[tokio::test]
    async fn the_environment_has_only_granted_variables() {
        let output = run(&call("/usr/bin/env", &[]), None).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "PATH=/usr/bin:/bin\n");
    }

    #[tokio::test]
    async fn a_pipe_passes_bytes_and_reports_the_first_failure() {
        let output = pipe(&[shell("printf 'b\\na\\n'"), shell("sort")]).await.unwrap();
        assert_eq!((output.code, output.stdout.as_slice()), (Some(0), b"a\nb\n".as_slice()));
        let output = pipe(&[shell("echo lost >&2; exit 7"), shell("cat")]).await.unwrap();
        assert_eq!((output.code, output.stderr.as_slice()), (Some(7), b"lost\n".as_slice()));
    }

    #[tokio::test]
    async fn dropping_a_running_program_kills_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let call = shell(&script);
        let running = run(&call, None);
        let until_written = async {
            while !file.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = running => panic!("the script ended too early"),
            () = until_written => {}
        }
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        // A killed orphan is a zombie until init reaps it.
        let gone = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            status.is_empty() || status.contains(") Z ")
        };
        let began = Instant::now();
        while !gone() {
            assert!(began.elapsed() < Duration::from_secs(5), "process {pid} still runs");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_daemon_left_behind_does_not_hold_up_the_call() {
        let began = Instant::now();
        let output = run(&shell("sleep 20 & echo started"), None).await.unwrap();
        assert_eq!(output.stdout, b"started\n");
        assert!(began.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn programs_are_names() {
        let environment =
            BTreeMap::from([("PATH".to_owned(), "relative:/bin:/usr/bin".to_owned())]);
        assert!(find("sh", &environment).is_ok());
        for (name, kind) in [
            ("/bin/sh", ErrorKind::InvalidInput),
            ("../sh", ErrorKind::InvalidInput),
            ("sh -c", ErrorKind::InvalidInput),
            ("", ErrorKind::InvalidInput),
            ("no-such-program", ErrorKind::NotFound),
        ] {
            assert_eq!(find(name, &environment).unwrap_err().kind, kind, "{name}");
        }
    }
}
