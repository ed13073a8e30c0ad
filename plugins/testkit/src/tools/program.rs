//! Executable of scripted programs: reads the rules beside itself and plays the first that matches.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::{Invocation, Rule};

/// Exit code without a matching rule. Real programs do not use it.
const NO_RULE: u8 = 97;

/// Plays the rules in `NAME.json` beside the executable named `NAME`.
pub fn main() -> ExitCode {
    match play() {
        Ok(code) => code,
        Err(error) => {
            // The error may be about this stream.
            let _ = writeln!(io::stderr(), "scripted program: {error}");
            ExitCode::from(NO_RULE)
        }
    }
}

pub(super) fn flag_path(folder: &Path, flag: &str) -> PathBuf {
    let name: String =
        flag.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect();
    folder.join("flags").join(name)
}

pub(super) fn set_flag(folder: &Path, flag: &str) -> io::Result<()> {
    std::fs::write(flag_path(folder, flag), "")
}

fn play() -> io::Result<ExitCode> {
    let place = std::env::current_exe()?;
    let folder = place.parent().ok_or(io::ErrorKind::NotFound)?;
    let name = place.file_stem().and_then(|name| name.to_str()).ok_or(io::ErrorKind::NotFound)?;
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let rules: Vec<Rule> =
        serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json")))?)?;
    let allowed = |rule: &&Rule| {
        rule.requires.iter().map(|flag| filled(flag, &args)).all(|flag| {
            match flag.strip_prefix('!') {
                Some(flag) => !flag_path(folder, flag).exists(),
                None => flag_path(folder, &flag).exists(),
            }
        })
    };
    let rule = rules.iter().filter(|rule| rule.matches(&args)).find(allowed);
    let mut environment: Vec<String> =
        std::env::vars_os().map(|(variable, _)| variable.to_string_lossy().into_owned()).collect();
    environment.sort();
    let mut input = Vec::new();
    if !io::stdin().is_terminal() && rule.is_some_and(|rule| !rule.holds) {
        io::stdin().read_to_end(&mut input)?;
    }
    let mut line = serde_json::to_string(&Invocation {
        program: name.to_owned(),
        args: args.clone(),
        process: std::process::id(),
        matched: rule.is_some(),
        environment,
        input: input.len() as u64,
    })?;
    line.push('\n');
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("journal"))?
        .write_all(line.as_bytes())?;

    let Some(rule) = rule else {
        writeln!(io::stderr(), "scripted {name}: no rule matches: {}", args.join(" "))?;
        return Ok(ExitCode::from(NO_RULE));
    };
    io::stdout().write_all(filled(&rule.stdout, &args).as_bytes())?;
    io::stdout().flush()?;
    io::stderr().write_all(filled(&rule.stderr, &args).as_bytes())?;
    if rule.holds {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    std::thread::sleep(Duration::from_millis(rule.delay_ms));
    for (option, content) in &rule.writes {
        let after = args.iter().position(|arg| arg == option).and_then(|at| args.get(at + 1));
        if let Some(path) = after {
            std::fs::write(path, content)?;
        }
    }
    for (file, content) in &rule.creates {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, content)?;
    }
    for flag in &rule.unsets {
        // The flag may be unset already.
        let _ = std::fs::remove_file(flag_path(folder, &filled(flag, &args)));
    }
    for flag in &rule.sets {
        let flag = filled(flag, &args);
        match flag.strip_prefix('!') {
            Some(flag) => std::fs::remove_file(flag_path(folder, flag))?,
            None => set_flag(folder, &flag)?,
        }
    }
    for pair in args.windows(2).filter(|pair| pair[0] == rule.sets_each_after) {
        set_flag(folder, &pair[1])?;
    }
    Ok(ExitCode::from(u8::try_from(rule.exit).unwrap_or(u8::MAX)))
}

/// Replaces each `{N}` in `text` by the argument with that index.
fn filled(text: &str, args: &[String]) -> String {
    let mut text = text.to_owned();
    for (place, arg) in args.iter().enumerate() {
        text = text.replace(&format!("{{{place}}}"), arg);
    }
    text
}
