//! Ends running programs if this process is killed. Programs run in their own process groups, so nothing else would
//! end them.
//!
//! Owns one watcher, a shell that reads the process groups from its input. The system closes the input when this process
//! ends for any reason, and the watcher then kills the remaining groups. On Windows, the job of a program does the same.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The watcher reads `+ GROUP` and `- GROUP`. It ignores Ctrl-C and a closed terminal.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
    case $sign in
        +) groups="$groups$group " ;;
        -) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group"
done
"#;

static WATCHER: LazyLock<Watcher> = LazyLock::new(Watcher::start);

/// A process group that the watcher ends with this process, until this value is dropped.
pub(super) struct Guarded(u32);

impl Guarded {
    /// Guards the group that this process leads.
    pub(super) fn new(leader: u32) -> Self {
        WATCHER.send('+', leader);
        Self(leader)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        WATCHER.send('-', self.0);
    }
}

struct Watcher {
    /// Has close-on-exec, so that programs do not inherit it.
    input: Mutex<Option<ChildStdin>>,
}

impl Watcher {
    /// Starts the shell. If there is none, programs outlive a killed host.
    fn start() -> Self {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self { input: Mutex::new(child.ok().and_then(|mut child| child.stdin.take())) }
    }

    fn send(&self, sign: char, group: u32) {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = input.as_mut() {
            // Fails only if another process killed the watcher.
            let _ = writeln!(input, "{sign} {group}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Child;
    use std::time::{Duration, Instant};

    use super::*;

    fn sleeper() -> Child {
        Command::new("/bin/sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    fn only_groups_that_are_still_guarded_are_killed() {
        let [mut left, mut over] = [sleeper(), sleeper()];
        let watcher = Watcher::start();
        watcher.send('+', over.id());
        watcher.send('+', left.id());
        watcher.send('-', over.id());
        drop(watcher);
        let began = Instant::now();
        while left.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(30), "it still runs");
            std::thread::yield_now();
        }
        assert!(
            over.try_wait().unwrap().is_none(),
            "a group that is no longer guarded must keep running"
        );
        over.kill().unwrap();
        over.wait().unwrap();
    }
}
