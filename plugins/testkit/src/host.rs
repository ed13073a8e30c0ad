//! Runs the `todohost` binary in a clean environment.
//!
//! Owns the process: its variables, its output while it runs, signals, and its end.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A call of the binary: arguments, folder, variables. It inherits no variables.
#[derive(Clone, Debug)]
pub struct Host {
    binary: PathBuf,
    folder: PathBuf,
    variables: BTreeMap<OsString, OsString>,
    args: Vec<OsString>,
    patience: Duration,
}

impl Host {
    /// A call of the binary in a folder, with variables for a home folder and an empty `PATH`.
    pub fn new(binary: &Path, folder: &Path, home: &Path) -> Self {
        let host = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            variables: BTreeMap::new(),
            args: Vec::new(),
            patience: Duration::from_mins(2),
        };
        let mut host = host
            .variable("HOME", home)
            .variable("XDG_CONFIG_HOME", home.join(".config"))
            .variable("XDG_CACHE_HOME", home.join(".cache"))
            .variable("KUBECONFIG", home.join(".kube").join("config"))
            .variable("PATH", "");
        if cfg!(windows) {
            host = host.variable("USERPROFILE", home);
            // A Windows process needs this variable to open sockets.
            if let Some(root) = std::env::vars_os().find(|(name, _)| name == "SystemRoot") {
                host = host.variable("SystemRoot", root.1);
            }
        }
        host
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().into());
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(OsStr::new(name));
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the time after which the test fails.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the binary until it exits.
    ///
    /// # Panics
    /// Panics if the binary does not exit in time, after killing it.
    pub fn run(self) -> Finished {
        self.spawn().finish()
    }

    /// Converts the call into a command of the standard library.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(&self.args).current_dir(&self.folder).env_clear().envs(&self.variables);
        command
    }

    /// Starts the binary.
    pub fn spawn(self) -> Running {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.binary.display()));
        let shared = Arc::new((Mutex::new(Streams::default()), Condvar::new()));
        let readers = vec![
            read(child.stdout.take(), shared.clone(), |seen| &mut seen.stdout),
            read(child.stderr.take(), shared.clone(), |seen| &mut seen.stderr),
        ];
        let deadline = Instant::now() + self.patience;
        let line: Vec<String> =
            self.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        Running { child, shared, readers, deadline, line: line.join(" ") }
    }
}

#[derive(Debug, Default)]
struct Streams {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

type Shared = Arc<(Mutex<Streams>, Condvar)>;

fn read(
    stream: Option<impl Read + Send + 'static>,
    shared: Shared,
    into: fn(&mut Streams) -> &mut Vec<u8>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let Some(stream) = stream else { return };
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let (seen, changed) = &*shared;
            into(&mut seen.lock().unwrap_or_else(PoisonError::into_inner)).append(&mut line);
            changed.notify_all();
        }
    })
}

/// The running binary.
#[derive(Debug)]
pub struct Running {
    child: Child,
    shared: Shared,
    readers: Vec<JoinHandle<()>>,
    deadline: Instant,
    line: String,
}

impl Running {
    /// Process id of the binary.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the output contains `text`.
    ///
    /// # Panics
    /// Panics if the text does not appear in time or before the process exits.
    pub fn wait_for_output(&mut self, text: &str) {
        loop {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            let (seen, changed) = &*self.shared;
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let all = format!(
                "{}{}",
                String::from_utf8_lossy(&seen.stdout),
                String::from_utf8_lossy(&seen.stderr)
            );
            if all.contains(text) {
                return;
            }
            let late = Instant::now() > self.deadline;
            assert!(!late && !ended, "`{}` never printed {text:?}, but:\n{all}", self.line);
            drop(changed.wait_timeout(seen, Duration::from_millis(50)));
        }
    }

    /// Reports whether the process is still running.
    ///
    /// # Panics
    /// Panics if the status of the process cannot be read.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the status of a child can be read").is_none()
    }

    /// Sends SIGINT, like Ctrl-C.
    #[cfg(unix)]
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    /// Sends SIGKILL.
    #[cfg(unix)]
    pub fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Sends SIGSTOP, like a laptop that goes to sleep.
    #[cfg(unix)]
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Sends SIGCONT.
    #[cfg(unix)]
    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Kills the process after `time`, unless it exits before, and returns its output.
    ///
    /// # Panics
    /// Panics if the status of the process cannot be read.
    #[cfg(unix)]
    pub fn kill_after(mut self, time: Duration) -> Finished {
        let until = Instant::now() + time;
        while Instant::now() < until && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill();
        }
        self.finish()
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let process = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("a child has a process id");
        rustix::process::kill_process(process, signal).expect("a child can be signalled");
    }

    /// Waits until the process exits.
    ///
    /// # Panics
    /// Panics if the process does not exit in time, after killing it.
    pub fn finish(mut self) -> Finished {
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < self.deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Ok(None) | Err(_) => break None,
            }
        };
        if status.is_none() {
            // The process may have exited in this moment.
            let _ = self.child.kill();
            let _ = self.child.wait();
        } else {
            for reader in self.readers.drain(..) {
                // A reader returns when its stream ends.
                let _ = reader.join();
            }
        }
        let (seen, _) = &*self.shared;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = Finished {
            status: status.unwrap_or_default(),
            stdout: String::from_utf8_lossy(&std::mem::take(&mut seen.stdout)).into_owned(),
            stderr: String::from_utf8_lossy(&std::mem::take(&mut seen.stderr)).into_owned(),
            line: self.line,
        };
        assert!(status.is_some(), "the process did not exit in time: {finished:#?}");
        finished
    }
}

/// Result of a run of the binary.
#[derive(Clone, Debug)]
pub struct Finished {
    status: ExitStatus,
    /// Standard output, for programs.
    pub stdout: String,
    /// Standard error, for people.
    pub stderr: String,
    line: String,
}

impl Finished {
    /// Exit code; `None` if a signal ended the process.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts that the exit code is `code`.
    ///
    /// # Panics
    /// Panics if the exit code is different.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "todohost {}\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output followed by standard error.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The events printed with `--output json`.
    ///
    /// # Panics
    /// Panics if a line is not a JSON object.
    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| match serde_json::from_str(line) {
                Ok(event @ Value::Object(_)) => event,
                _ => panic!("not an event: {line}"),
            })
            .collect()
    }

    /// The events of one kind, e.g. `step-finished`.
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == kind).collect()
    }
}
