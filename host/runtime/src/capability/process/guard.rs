//! Ends what is left running where this process is killed: programs are in process groups of their own, so that
//! nothing else would end them.
//!
//! Owns one watcher, a shell that is told of each group and ends those that are left once its input is closed, which
//! the system does whatever happens to this process. On Windows the job that holds a program does the same.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

/// It reads `+ GROUP` and `- GROUP`. Ctrl-C and a closed terminal are for others.
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

/// A process group that is ended with this process, until this is dropped.
pub(super) struct Guarded(u32);

impl Guarded {
    /// Guards the group that this process leads.
    pub(super) fn new(leader: u32) -> Self {
        WATCHER.tell('+', leader);
        Self(leader)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        WATCHER.tell('-', self.0);
    }
}

struct Watcher {
    /// Closed on every `exec`, so that no program holds it open.
    input: Mutex<Option<ChildStdin>>,
}

impl Watcher {
    /// Without a shell there is none, and what is left running is left.
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

    fn tell(&self, sign: char, group: u32) {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = input.as_mut() {
            // It ends only with this process, unless somebody ended it.
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
    fn what_is_left_is_ended_with_the_input_and_nothing_else_is() {
        let [mut left, mut over] = [sleeper(), sleeper()];
        let watcher = Watcher::start();
        watcher.tell('+', over.id());
        watcher.tell('+', left.id());
        watcher.tell('-', over.id());
        drop(watcher);
        let began = Instant::now();
        while left.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(30), "it still runs");
            std::thread::yield_now();
        }
        assert!(over.try_wait().unwrap().is_none(), "what was over is somebody else's by now");
        over.kill().unwrap();
        over.wait().unwrap();
    }
}
