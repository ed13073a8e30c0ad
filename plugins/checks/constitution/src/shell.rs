//! What a shell line runs: commands, each with its words and the variables that are set for it alone.
//!
//! It owns cutting a line at its operators; words and quotes are the business of `shlex`. It runs and expands nothing.

/// Words that stand before a command without being it.
const BEFORE: [&str; 10] = ["if", "then", "elif", "else", "do", "while", "!", "exec", "time", "("];

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// `NODE_ENV=production npm ci`: what is set in front of the program.
    pub variables: Vec<(String, String)>,
    /// Program and arguments.
    pub words: Vec<String>,
}

impl Command {
    /// A command from its words.
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
        // The end of a subshell, not of a `$(...)` inside the word.
        if let Some(last) = words.last_mut()
            && last.matches(')').count() > last.matches('(').count()
        {
            last.pop();
        }
        (!words.is_empty()).then_some(Self { variables, words })
    }

    /// The program's name without the folder that it is called from.
    pub fn program(&self) -> &str {
        let whole = self.words.first().map_or("", String::as_str);
        whole.rsplit('/').next().unwrap_or(whole)
    }

    /// What the program is given.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str)
    }
}

/// The commands of a text, in order; one with quotes that do not close has none.
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
            // The file is a word of its own.
            words.next();
        }
    }
    kept
}

/// Cut at `&&`, `||`, `;`, `|`, `&` and ends of lines that no quote encloses.
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
    fn a_line_is_cut_at_its_operators_and_not_inside_of_quotes() {
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
    fn variables_in_front_belong_to_the_command() {
        let found = commands("NODE_ENV=production A='b c' /usr/bin/npm ci --x=1");
        assert_eq!(found[0].program(), "npm");
        assert_eq!(found[0].variables[1], ("A".to_owned(), "b c".to_owned()));
        assert_eq!(found[0].arguments().collect::<Vec<_>>(), ["ci", "--x=1"]);
    }
}
