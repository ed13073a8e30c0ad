//! Scripted programs, in a folder for `PATH`.
//!
//! Owns the rules and the record of invocations; `program` is the executable. Scripted programs are faithful in
//! arguments, output on both streams, exit codes, duration, standard input, and files named by arguments. They neither
//! build nor run anything, and their only state is the flags set by rules.

mod program;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use program::main as run_program;

/// Behaviour of a program for some arguments. The first matching rule applies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Arguments to match: `*` matches any text inside one argument, `**` any number of arguments.
    pub args: Vec<String>,
    /// Flags that must be set for the rule to match, or unset if they begin with `!`.
    /// In flags and in printed text, `{3}` is the argument with the index 3, counted from 0.
    pub requires: Vec<String>,
    /// Flags that the program sets at its end; a flag that begins with `!` is unset.
    pub sets: Vec<String>,
    /// Flags that the program unsets at its end.
    pub unsets: Vec<String>,
    /// Option, e.g. `--tag`: the argument after each occurrence is a flag to set.
    pub sets_each_after: String,
    /// Text on standard output.
    pub stdout: String,
    /// Text on standard error.
    pub stderr: String,
    /// Exit code.
    pub exit: i32,
    /// Duration after the output.
    pub delay_ms: u64,
    /// Files that the program writes: the option before the file's name, and the content.
    pub writes: Vec<(String, String)>,
    /// Files that the program writes for any arguments: the path and the content.
    pub creates: Vec<(PathBuf, String)>,
    /// Whether the program runs until it is killed.
    pub holds: bool,
}

impl Rule {
    /// A rule for these arguments, separated by spaces.
    pub fn on(args: &str) -> Self {
        Self { args: args.split_whitespace().map(str::to_owned).collect(), ..Self::default() }
    }

    /// Sets the text on standard output.
    #[must_use]
    pub fn prints(mut self, text: &str) -> Self {
        text.clone_into(&mut self.stdout);
        self
    }

    /// Sets the exit code and the text on standard error.
    #[must_use]
    pub fn fails(mut self, code: i32, text: &str) -> Self {
        self.exit = code;
        text.clone_into(&mut self.stderr);
        self
    }

    /// Restricts the rule to the time in which a flag is set, or unset if it begins with `!`.
    #[must_use]
    pub fn requires(mut self, flag: &str) -> Self {
        self.requires.push(flag.to_owned());
        self
    }

    /// Lets the program set a flag at its end, or unset it if it begins with `!`.
    #[must_use]
    pub fn sets(mut self, flag: &str) -> Self {
        self.sets.push(flag.to_owned());
        self
    }

    /// Lets the program unset a flag at its end. The flag need not be set.
    #[must_use]
    pub fn unsets(mut self, flag: &str) -> Self {
        self.unsets.push(flag.to_owned());
        self
    }

    /// Lets the program set a flag for the argument after each `option`.
    #[must_use]
    pub fn sets_each_after(mut self, option: &str) -> Self {
        option.clone_into(&mut self.sets_each_after);
        self
    }

    /// Lets the program write `content` to the file named by the argument after `option`.
    #[must_use]
    pub fn writes(mut self, option: &str, content: &str) -> Self {
        self.writes.push((option.to_owned(), content.to_owned()));
        self
    }

    /// Lets the program write a file.
    #[must_use]
    pub fn creates(mut self, file: &Path, content: &str) -> Self {
        self.creates.push((file.to_owned(), content.to_owned()));
        self
    }

    /// Lets the program run until it is killed.
    #[must_use]
    pub fn holds(mut self) -> Self {
        self.holds = true;
        self
    }

    /// Reports whether the rule applies to these arguments.
    fn matches(&self, args: &[String]) -> bool {
        matches(&self.args, args)
    }
}

fn matches(pattern: &[String], args: &[String]) -> bool {
    match pattern.split_first() {
        None => args.is_empty(),
        Some((first, rest)) if first == "**" => {
            (0..=args.len()).any(|taken| matches(rest, &args[taken..]))
        }
        Some((first, rest)) => args.split_first().is_some_and(|(argument, others)| {
            let glob = globset::GlobBuilder::new(first).literal_separator(false).build();
            let fits = glob.is_ok_and(|glob| glob.compile_matcher().is_match(argument));
            (fits || first == argument) && matches(rest, others)
        }),
    }
}

/// One invocation of a scripted program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Name of the program.
    pub program: String,
    /// Arguments of the call.
    pub args: Vec<String>,
    /// Process id.
    pub process: u32,
    /// Whether a rule matched.
    pub matched: bool,
    /// Names of the environment variables.
    pub environment: Vec<String>,
    /// Number of bytes on standard input.
    pub input: u64,
}

/// A folder of scripted programs.
#[derive(Debug)]
pub struct FakeTools {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl FakeTools {
    /// Creates an empty folder. `program` is the executable behind all scripted programs: this crate's
    /// `todohost-fake-tool`, or another one that calls [`run_program`] in its `main`.
    pub fn new(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        std::fs::create_dir(folder.path().join("flags")).expect("a folder can be created");
        Self { folder, program: program.to_owned() }
    }

    /// Folder to put into `PATH`.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a program, or replaces its rules.
    pub fn program(&self, name: &str, rules: &[Rule]) {
        let script = serde_json::to_vec_pretty(rules).expect("rules are JSON");
        std::fs::write(self.path().join(format!("{name}.json")), script)
            .expect("the script can be written");
        let place = self.path().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if !place.exists() {
            // A hard link is quicker than a copy, and its file is never open for writing.
            std::fs::hard_link(&self.program, &place)
                .or_else(|_| std::fs::copy(&self.program, &place).map(|_| ()))
                .expect("the executable of scripted programs is built and can be linked");
        }
    }

    /// Removes a program.
    ///
    /// # Panics
    /// Panics if the file cannot be deleted.
    pub fn remove(&self, name: &str) {
        let place = self.path().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if place.exists() {
            std::fs::remove_file(place).expect("a scripted program can be removed");
        }
    }

    /// Sets a flag.
    pub fn set(&self, flag: &str) {
        program::set_flag(self.path(), flag).expect("a flag can be set");
    }

    /// Unsets a flag, which need not be set.
    pub fn unset(&self, flag: &str) {
        // The flag may be unset already.
        let _ = std::fs::remove_file(program::flag_path(self.path(), flag));
    }

    /// The invocations so far, in order of their start.
    pub fn invocations(&self) -> Vec<Invocation> {
        let journal = std::fs::read_to_string(self.path().join("journal")).unwrap_or_default();
        journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The command lines of the invocations so far.
    pub fn lines(&self) -> Vec<String> {
        self.invocations()
            .iter()
            .map(|ran| format!("{} {}", ran.program, ran.args.join(" ")))
            .collect()
    }

    /// The command lines of invocations that no rule matched.
    pub fn unmatched(&self) -> Vec<String> {
        self.invocations()
            .iter()
            .filter(|ran| !ran.matched)
            .map(|ran| format!("{} {}", ran.program, ran.args.join(" ")))
            .collect()
    }

    /// Waits for an invocation with a command line that contains `part`.
    ///
    /// # Panics
    /// Panics if there is none within `patience`.
    pub fn wait_for(&self, part: &str, patience: Duration) -> Invocation {
        self.wait_for_nth(part, 1, patience)
    }

    /// Waits for the `nth` invocation, counted from 1, with a command line that contains `part`.
    ///
    /// # Panics
    /// Panics if there are fewer within `patience`.
    pub fn wait_for_nth(&self, part: &str, nth: usize, patience: Duration) -> Invocation {
        let deadline = Instant::now() + patience;
        loop {
            let begun = self
                .invocations()
                .into_iter()
                .filter(|ran| format!("{} {}", ran.program, ran.args.join(" ")).contains(part))
                .nth(nth.saturating_sub(1));
            if let Some(begun) = begun {
                return begun;
            }
            assert!(
                Instant::now() < deadline,
                "fewer than {nth} invocations with `{part}` within {patience:?}; invocations: {:#?}",
                self.lines()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, args: &str) -> bool {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        Rule::on(pattern).matches(&args)
    }

    #[test]
    fn patterns_match_arguments() {
        assert!(takes("version", "version"));
        assert!(!takes("version", "version --format json"));
        assert!(takes("buildx build **", "buildx build --tag a /path/to/x"));
        assert!(takes("image inspect ** todo:*", "image inspect --format {{.Id}} todo:latest"));
        assert!(!takes("image inspect ** todo:*", "image inspect --format {{.Id}} other:latest"));
        assert!(takes("image inspect --format {{.Id}} x", "image inspect --format {{.Id}} x"));
    }
}
