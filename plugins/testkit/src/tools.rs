//! Scripted programs: a folder of fakes that comes first in `PATH`.
//!
//! Owns the script and the record of invocations; `program` is what runs in their place.
//! Faithful: arguments, output on both streams, exit codes, time, standard input, files that an
//! argument names. Not faithful: nothing is built or run, and no daemon remembers anything beyond
//! the flags that rules set.

mod program;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use program::main as run_program;

/// What one kind of invocation does. The first rule that matches is used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Arguments: `*` inside one is a wildcard, `**` stands for any number of further ones.
    pub args: Vec<String>,
    /// Flags that must be set for the rule to match; with `!` in front, that must not be.
    /// In flags and in what is printed, `{3}` is the argument at that place, counted from 0.
    pub requires: Vec<String>,
    /// Flags that it sets once it is over.
    pub sets: Vec<String>,
    /// Flags that it takes back once it is over.
    pub unsets: Vec<String>,
    /// Each argument that follows this one is a flag that it sets, e.g. `--tag`.
    pub sets_each_after: String,
    /// What it prints.
    pub stdout: String,
    /// What it prints on the other stream.
    pub stderr: String,
    /// How it exits.
    pub exit: i32,
    /// How long it takes, after it printed.
    pub delay_ms: u64,
    /// Files that it writes: the argument after which their name stands, and their content.
    pub writes: Vec<(String, String)>,
    /// Files that it writes wherever they are, and their content.
    pub creates: Vec<(PathBuf, String)>,
    /// It runs until it is killed.
    pub holds: bool,
}

impl Rule {
    /// Matches these arguments, given in one line.
    pub fn on(args: &str) -> Self {
        Self { args: args.split_whitespace().map(str::to_owned).collect(), ..Self::default() }
    }

    /// It prints this.
    #[must_use]
    pub fn prints(mut self, text: &str) -> Self {
        text.clone_into(&mut self.stdout);
        self
    }

    /// It complains so, and exits with `code`.
    #[must_use]
    pub fn fails(mut self, code: i32, text: &str) -> Self {
        self.exit = code;
        text.clone_into(&mut self.stderr);
        self
    }

    /// It only matches while this flag is set; with `!` in front, while it is not.
    #[must_use]
    pub fn requires(mut self, flag: &str) -> Self {
        self.requires.push(flag.to_owned());
        self
    }

    /// It sets a flag once it is over; with `!` in front it takes the flag back.
    #[must_use]
    pub fn sets(mut self, flag: &str) -> Self {
        self.sets.push(flag.to_owned());
        self
    }

    /// It takes a flag back once it is over.
    #[must_use]
    pub fn unsets(mut self, flag: &str) -> Self {
        self.unsets.push(flag.to_owned());
        self
    }

    /// It sets the flags that are named by the arguments after each `option`.
    #[must_use]
    pub fn sets_each_after(mut self, option: &str) -> Self {
        option.clone_into(&mut self.sets_each_after);
        self
    }

    /// It writes `content` to the file named after the argument `option`.
    #[must_use]
    pub fn writes(mut self, option: &str, content: &str) -> Self {
        self.writes.push((option.to_owned(), content.to_owned()));
        self
    }

    /// It writes this file, whatever its arguments say.
    #[must_use]
    pub fn creates(mut self, file: &Path, content: &str) -> Self {
        self.creates.push((file.to_owned(), content.to_owned()));
        self
    }

    /// It runs until it is killed.
    #[must_use]
    pub fn holds(mut self) -> Self {
        self.holds = true;
        self
    }

    /// Whether it is about these arguments.
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
    /// Its name.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its process.
    pub process: u32,
    /// Whether a rule was about it.
    pub matched: bool,
    /// Names of the variables that it was given.
    pub environment: Vec<String>,
    /// Bytes that it read from standard input.
    pub input: u64,
}

/// A folder of scripted programs.
#[derive(Debug)]
pub struct FakeTools {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl FakeTools {
    /// An empty folder. `program` is the built executable that plays all of them: this crate's
    /// `todohost-fake-tool`, or one whose `main` calls [`run_program`].
    pub fn new(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::create_dir(folder.path().join("flags")).expect("a folder can be made");
        Self { folder, program: program.to_owned() }
    }

    /// What to put into `PATH`.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a program, or gives it other rules.
    pub fn program(&self, name: &str, rules: &[Rule]) {
        let script = serde_json::to_vec_pretty(rules).expect("rules are JSON");
        std::fs::write(self.path().join(format!("{name}.json")), script)
            .expect("the script can be written");
        let place = self.path().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if !place.exists() {
            // A link where the file system allows one: quicker, and never a file that is being written.
            std::fs::hard_link(&self.program, &place)
                .or_else(|_| std::fs::copy(&self.program, &place).map(|_| ()))
                .expect("the program of the fakes is built and can be linked");
        }
    }

    /// Takes a program away.
    ///
    /// # Panics
    /// If it cannot.
    pub fn remove(&self, name: &str) {
        let place = self.path().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if place.exists() {
            std::fs::remove_file(place).expect("a scripted program can be removed");
        }
    }

    /// Sets a flag by hand.
    pub fn set(&self, flag: &str) {
        program::set_flag(self.path(), flag).expect("a flag can be set");
    }

    /// Takes a flag back.
    pub fn unset(&self, flag: &str) {
        // It need not be set.
        let _ = std::fs::remove_file(program::flag_path(self.path(), flag));
    }

    /// What ran so far, in order of their beginning.
    pub fn invocations(&self) -> Vec<Invocation> {
        let journal = std::fs::read_to_string(self.path().join("journal")).unwrap_or_default();
        journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The command lines that ran so far.
    pub fn lines(&self) -> Vec<String> {
        self.invocations()
            .iter()
            .map(|ran| format!("{} {}", ran.program, ran.args.join(" ")))
            .collect()
    }

    /// Invocations that no rule was about: what the script forgot.
    pub fn unmatched(&self) -> Vec<String> {
        self.invocations()
            .iter()
            .filter(|ran| !ran.matched)
            .map(|ran| format!("{} {}", ran.program, ran.args.join(" ")))
            .collect()
    }

    /// Waits until a command line that contains `part` began.
    ///
    /// # Panics
    /// If none did after `patience`.
    pub fn wait_for(&self, part: &str, patience: Duration) -> Invocation {
        self.wait_for_nth(part, 1, patience)
    }

    /// Waits until the `nth` such command line began, counted from 1.
    ///
    /// # Panics
    /// If it did not after `patience`.
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
                "not {nth} times `{part}` after {patience:?}; ran: {:#?}",
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
    fn patterns_stand_for_arguments() {
        assert!(takes("version", "version"));
        assert!(!takes("version", "version --format json"));
        assert!(takes("buildx build **", "buildx build --tag a /path/to/x"));
        assert!(takes("image inspect ** todo:*", "image inspect --format {{.Id}} todo:latest"));
        assert!(!takes("image inspect ** todo:*", "image inspect --format {{.Id}} other:latest"));
        assert!(takes("image inspect --format {{.Id}} x", "image inspect --format {{.Id}} x"));
    }
}
