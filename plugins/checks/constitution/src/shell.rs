//! Splits a shell line into commands, each with its words and the variables set only for it.
//!
//! This module splits at operators; `shlex` splits words and removes quotes. Nothing is run or expanded.

/// Words that can stand before a command.
const BEFORE: [&str; 10] = ["if", "then", "elif", "else", "do", "while", "!", "exec", "time", "("];

/// A simple command of a shell line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Assignments before the program, as in `NODE_ENV=production npm ci`.
    pub variables: Vec<(String, String)>,
    /// Program and arguments.
    pub words: Vec<String>,
}

impl Command {
    /// A command from its words; `None` if there are no words besides keywords and assignments.
    pub fn new(words: Vec<String>) -> Option<Self> {
        let mut words = words
            .into_iter()
            .skip_while(|word| BEFORE.contains(&word.as_str()) || word == "{")
            .peekable();
        let mut variables = Vec::new();
        while let Some(pair) = words.peek().and_then(|word| assignment(word)) {
            variables.push(pair);
            words.next();
        }
        let mut words: Vec<String> = words.collect();
        if let Some(first) = words.first_mut() {
            *first = first.trim_start_matches('(').to_owned();
        }
        // An unmatched `)` closes a subshell; a `$(...)` inside the word is balanced.
        if let Some(last) = words.last_mut()
            && last.matches(')').count() > last.matches('(').count()
        {
            last.pop();
        }
        (!words.is_empty()).then_some(Self { variables, words })
    }

    /// The program's name without its directory.
    pub fn program(&self) -> &str {
        let whole = self.words.first().map_or("", String::as_str);
        whole.rsplit('/').next().unwrap_or(whole)
    }

    /// The words after the program.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str)
    }
}

/// The commands of a text, in order. Commands with unclosed quotes are left out.
pub fn commands(text: &str) -> Vec<Command> {
    let joined: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    pieces(&joined.join("\n").replace("\\\n", " "))
        .iter()
        .filter_map(|piece| shlex::split(piece))
        .map(without_redirections)
        .filter_map(Command::new)
        .collect()
}

/// Words without `> file`, `2>&1` and the like.
fn without_redirections(words: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let behind = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
        if !behind.starts_with(['<', '>']) {
            kept.push(word);
        } else if behind.trim_matches(['<', '>']).is_empty() {
            // `> file`: the file name is the next word.
            words.next();
        }
    }
    kept
}

/// Splits at `&&`, `||`, `;`, `|`, `&` and line ends outside quotes.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let is_redirection =
            letter == '&' && pieces.last().is_some_and(|piece| piece.ends_with(['<', '>']));
        let is_end = quote.is_none() && matches!(letter, '&' | '|' | ';' | '\n');
        if is_end && !is_redirection {
            pieces.push(String::new());
            continue;
        }
        let Some(piece) = pieces.last_mut() else { break };
        piece.push(letter);
        match (quote, letter) {
            (Some('"') | None, '\\') => piece.extend(letters.next()),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
    }
    pieces
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    is_name.then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        commands(text).iter().map(|command| command.words.join(" ")).collect()
    }

    #[test]
    fn lines_are_split_at_operators_outside_quotes() {
        assert_eq!(
            words("groupadd -g 1 a && echo 'x; y' | tee \"a && b\"; (cd x && npm ci)"),
            ["groupadd -g 1 a", "echo x; y", "tee a && b", "cd x", "npm ci"]
        );
        assert_eq!(
            words("npm ci \\\n    # why\n    --omit=dev \\\n && true"),
            ["npm ci --omit=dev", "true"]
        );
        assert_eq!(words("if [ -f a ]; then npm ci; fi"), ["[ -f a ]", "npm ci", "fi"]);
        assert_eq!(
            words("uv sync --python \"$(command -v python)\""),
            ["uv sync --python $(command -v python)"]
        );
        assert_eq!(words("npm install >/dev/null 2>&1 && ls 2> log"), ["npm install", "ls"]);
        assert_eq!(words("echo \"open"), [""; 0]);
    }

    #[test]
    fn leading_assignments_are_variables_of_the_command() {
        let found = commands("NODE_ENV=production A='b c' /usr/bin/npm ci --x=1");
        assert_eq!(found[0].program(), "npm");
        assert_eq!(found[0].variables[1], ("A".to_owned(), "b c".to_owned()));
        assert_eq!(found[0].arguments().collect::<Vec<_>>(), ["ci", "--x=1"]);
    }
}
