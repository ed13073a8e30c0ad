//! The reference of the commands: a section for each, from the `--help` texts that the command-line tests hold.

use super::{DocumentsError, cell, malformed};
use std::fmt::Write as _;
use std::io;

/// The folder of the help texts: `tests/cli/help.rs` compares each with the program.
pub(super) const SNAPSHOTS: &str = "tests/cli/snapshots";

/// The sections of all commands, from the root's help down. `read` returns a snapshot by its file name.
pub(super) fn sections(
    read: &dyn Fn(&str) -> io::Result<String>,
) -> Result<String, DocumentsError> {
    let mut text = String::new();
    let root = Help::read(&[], read)?;
    section(&[], &root, &[], &mut text);
    let global: Vec<String> = root.options.iter().map(|entry| entry.name.clone()).collect();
    let mut paths: Vec<Vec<String>> = below(&[], &root);
    paths.reverse();
    while let Some(path) = paths.pop() {
        let help = Help::read(&path, read)?;
        section(&path, &help, &global, &mut text);
        paths.extend(below(&path, &help).into_iter().rev());
    }
    Ok(text)
}

/// The paths of a command's subcommands.
fn below(path: &[String], help: &Help) -> Vec<Vec<String>> {
    let names = help.commands.iter().map(|entry| &entry.name).filter(|name| *name != "help");
    names.map(|name| [path, std::slice::from_ref(name)].concat()).collect()
}

/// Adds a command's section; options in `global` are left out.
fn section(path: &[String], help: &Help, global: &[String], text: &mut String) {
    let name = [&["todohost".to_owned()], path].concat().join(" ");
    // writing to a String cannot fail
    let _ = writeln!(text, "## `{name}`\n\n{}\n\n```text\n{}\n```\n", help.about, help.usage);
    let options: Vec<_> =
        help.options.iter().filter(|entry| !global.contains(&entry.name)).cloned().collect();
    let tables = [("command", &help.commands), ("argument", &help.arguments), ("option", &options)];
    for (title, entries) in tables {
        if !entries.is_empty() {
            let _ = writeln!(text, "| {title} | description |\n|---|---|");
            for entry in entries {
                let _ = writeln!(text, "| `{}` | {} |", cell(&entry.name), cell(&entry.meaning));
            }
            text.push('\n');
        }
    }
    if !help.rest.is_empty() {
        let _ = writeln!(text, "```text\n{}\n```\n", help.rest);
    }
}

/// A command, argument or option with its meaning.
#[derive(Clone)]
struct Entry {
    name: String,
    meaning: String,
}

/// The parts of a help text.
#[derive(Default)]
struct Help {
    about: String,
    usage: String,
    commands: Vec<Entry>,
    arguments: Vec<Entry>,
    options: Vec<Entry>,
    /// The paragraphs after the options, e.g. examples.
    rest: String,
}

impl Help {
    fn read(
        path: &[String],
        read: &dyn Fn(&str) -> io::Result<String>,
    ) -> Result<Self, DocumentsError> {
        let file = format!("cli__help__{}.snap", [&["help".to_owned()], path].concat().join("-"));
        let snapshot = read(&file)?;
        let text = snapshot.splitn(3, "---\n").nth(2);
        let text = text.ok_or_else(|| malformed(&file, "it is not a snapshot"))?;
        Ok(Self::parse(text))
    }

    /// Splits the help as clap lays it out: paragraphs with a title in their first column.
    fn parse(text: &str) -> Self {
        let mut help = Self::default();
        let mut part = "";
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let next = lines.peek().map_or("", |next| next.trim_start());
            match line.split_once(':') {
                Some(("Usage", usage)) => {
                    part = "usage";
                    usage.trim().clone_into(&mut help.usage);
                    continue;
                }
                Some((title @ ("Commands" | "Arguments"), "")) => {
                    part = title;
                    continue;
                }
                // "Options" and the titles of other groups of options.
                Some((title, "")) if next.starts_with('-') && !title.starts_with(' ') => {
                    part = "Options";
                    continue;
                }
                // The paragraphs at the end.
                _ if !part.is_empty() && line.starts_with(|first: char| !first.is_whitespace()) => {
                    part = "rest";
                }
                _ => {}
            }
            match part {
                "" => add_line(&mut help.about, line),
                "usage" if !line.trim().is_empty() => {
                    help.usage = format!("{}\n{line}", help.usage);
                }
                "Commands" => add_entry(&mut help.commands, line, 2),
                "Arguments" => add_entry(&mut help.arguments, line, 2),
                "Options" => add_entry(&mut help.options, line, 6),
                "rest" => help.rest.extend([line, "\n"]),
                _ => {}
            }
        }
        help.about = help.about.trim().to_owned();
        help.rest = help.rest.trim_end().to_owned();
        help
    }
}

/// Adds a line to a text, and joins the lines of a paragraph.
fn add_line(text: &mut String, line: &str) {
    let line = line.trim();
    if line.is_empty() {
        text.push_str("\n\n");
    } else {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push(' ');
        }
        text.push_str(line);
    }
}

/// Adds a line of a list: a new entry if it is indented by at most `indent`, else a part of the last entry's meaning.
fn add_entry(entries: &mut Vec<Entry>, line: &str, indent: usize) {
    let text = line.trim();
    if text.is_empty() {
        return;
    }
    if line.len() - line.trim_start().len() <= indent {
        let (name, meaning) = text.split_once("  ").unwrap_or((text, ""));
        let (name, meaning) = (name.to_owned(), meaning.trim().to_owned());
        entries.push(Entry { name, meaning });
    } else if let Some(Entry { meaning, .. }) = entries.last_mut() {
        match text.strip_prefix("- ").and_then(|item| item.split_once(':')) {
            Some((value, about)) => {
                let comma = if meaning.ends_with(':') { "" } else { "," };
                let _ = write!(meaning, "{comma} `{value}` ({})", about.trim());
            }
            None => {
                let is_sentence = text.starts_with("Possible values:") || meaning.ends_with(')');
                let end = if is_sentence && !meaning.is_empty() { "." } else { "" };
                let space = if meaning.is_empty() { "" } else { " " };
                meaning.extend([end, space, text]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "---\nsource: x\n---\nDeploys an app: builds\nand applies\n\nUsage: todohost [OPTIONS] <COMMAND>\n\n\
        Commands:\n  deploy  Build\n          and apply\n  help    Print this\n\n\
        Options:\n  -o, --output <OUTPUT>\n          How to print\n\n          Possible values:\n\
        \x20         - human: For people\n          - json:  For programs\n\n          [default: human]\n\n\
        Exit codes:\n  0 done\n";
    const DEPLOY: &str = "---\nsource: x\n---\nBuild and apply\n\nUsage: todohost deploy [OPTIONS] [NAME]\n\n\
        Arguments:\n  [NAME]\n          The a|b\n\n\
        Options:\n      --yes\n          Do not ask\n\n\
        Values:\n      --set <VALUE>\n          Set one\n\n  -o, --output <OUTPUT>\n          How to print\n";

    fn read(file: &str) -> io::Result<String> {
        match file {
            "cli__help__help.snap" => Ok(ROOT.to_owned()),
            "cli__help__help-deploy.snap" => Ok(DEPLOY.to_owned()),
            other => Err(io::Error::new(io::ErrorKind::NotFound, other)),
        }
    }

    #[test]
    fn each_command_has_a_section_and_global_options_are_listed_once() {
        let expected = "\
## `todohost`

Deploys an app: builds and applies

```text
todohost [OPTIONS] <COMMAND>
```

| command | description |
|---|---|
| `deploy` | Build and apply |
| `help` | Print this |

| option | description |
|---|---|
| `-o, --output <OUTPUT>` | How to print. Possible values: `human` (For people), `json` (For programs). [default: human] |

```text
Exit codes:
  0 done
```

## `todohost deploy`

Build and apply

```text
todohost deploy [OPTIONS] [NAME]
```

| argument | description |
|---|---|
| `[NAME]` | The a\\|b |

| option | description |
|---|---|
| `--yes` | Do not ask |
| `--set <VALUE>` | Set one |

";
        assert_eq!(sections(&read).unwrap(), expected);
    }

    #[test]
    fn a_command_without_a_help_text_is_an_error() {
        let root = ROOT.replace("  help    Print this", "  check   Judge");
        let error = sections(&|file: &str| match file {
            "cli__help__help.snap" => Ok(root.clone()),
            other => read(other),
        });
        assert!(error.unwrap_err().to_string().contains("help-check"));
    }
}
