//! Recognises commands that install dependencies, and whether they exclude development dependencies.

use crate::dockerfile::Variables;
use crate::shell::Command;

/// Kind of packages; it decides about their directory in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecosystem {
    /// Installed in `node_modules`.
    Node,
    /// Installed in a virtual or the system's environment.
    Python,
    /// Downloaded into a cache of the builder and compiled into the program.
    Compiled,
    /// Installed in `vendor`.
    Php,
}

/// The effect of a command on the installed packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Install {
    pub ecosystem: Ecosystem,
    /// Development dependencies are excluded or removed.
    pub production: bool,
    /// The command line itself names the packages; the project's manifest is not used.
    pub named: bool,
    /// The command only removes packages.
    pub prunes: bool,
}

/// The installation that a command performs with these environment variables, if any.
pub fn of(command: &Command, environment: &Variables) -> Option<Install> {
    let mut variables = environment.clone();
    variables.extend(command.variables.iter().cloned());
    let words: Vec<&str> = command.arguments().collect();
    let program = command.program();
    match program {
        "npm" | "pnpm" | "yarn" | "bun" => node(program, &words, &variables),
        "pip" | "pip3" => pip(&words),
        "uv" => uv(&words, &variables),
        "poetry" | "pdm" | "pipenv" => python_project(program, &words),
        "python" | "python3" => match words.as_slice() {
            ["-m", "pip", rest @ ..] => pip(rest),
            ["-m", "uv", rest @ ..] => uv(rest, &variables),
            _ => None,
        },
        "composer" => (words.first() == Some(&"install")).then(|| Install {
            production: words.contains(&"--no-dev"),
            ..project(Ecosystem::Php)
        }),
        _ => compiled(program, &words)
            .then(|| Install { production: true, ..project(Ecosystem::Compiled) }),
    }
}

fn project(ecosystem: Ecosystem) -> Install {
    Install { ecosystem, production: false, named: false, prunes: false }
}

/// The first word that is not an option.
fn verb<'a>(words: &[&'a str]) -> Option<&'a str> {
    words.iter().find(|word| !word.starts_with('-')).copied()
}

fn has(words: &[&str], options: &[&str]) -> bool {
    words.iter().any(|word| options.contains(word))
}

/// Whether an option has one of these values, as `--name value` or `--name=value`.
fn option(words: &[&str], name: &str, wanted: &[&str]) -> bool {
    words.iter().any(|word| {
        word.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
            .is_some_and(|value| wanted.contains(&value))
    }) || words.windows(2).any(|pair| pair[0] == name && wanted.contains(&pair[1]))
}

fn node(program: &str, words: &[&str], variables: &Variables) -> Option<Install> {
    let verb = match (program, verb(words)) {
        ("yarn", None) if !has(words, &["--version", "-v", "--help"]) => "install",
        ("yarn", Some("workspaces")) if has(words, &["focus"]) => "install",
        (_, Some(verb)) => verb,
        (_, None) => return None,
    };
    let prunes = verb == "prune";
    if !prunes && !matches!(verb, "ci" | "install" | "i" | "clean-install" | "fetch") {
        return None;
    }
    let positions = words.iter().filter(|word| !word.starts_with('-')).count();
    let is_global = has(words, &["-g", "--global", "--location=global"]);
    let production = has(words, &["--production", "--production=true", "--prod", "-P"])
        || option(words, "--omit", &["dev"])
        || option(words, "--only", &["prod", "production"])
        || (variables.get("NODE_ENV").is_some_and(|value| value == "production")
            && !option(words, "--include", &["dev"])
            && !has(words, &["--production=false", "--prod=false"]));
    let named = is_global
        || (!prunes
            && verb != "ci"
            && positions > 1
            && !has(words, &["focus", "--prefix", "--omit"]));
    Some(Install { production, named, prunes, ..project(Ecosystem::Node) })
}

fn pip(words: &[&str]) -> Option<Install> {
    if verb(words) != Some("install") {
        return None;
    }
    let is_requirements = |word: &str| {
        word.starts_with("-r")
            || word.starts_with("--requirement")
            || word.starts_with("-e")
            || word == "--editable"
    };
    let from_project = words.iter().any(|word| is_requirements(word) || word.starts_with('.'));
    let is_development = |word: &str| {
        let names_more = word.contains(".txt") || word.starts_with('.');
        names_more && ["dev", "test", "lint"].iter().any(|kind| word.contains(kind))
    };
    let production = !words.iter().any(|word| is_development(word));
    Some(Install { production, named: !from_project, ..project(Ecosystem::Python) })
}

fn uv(words: &[&str], variables: &Variables) -> Option<Install> {
    if let ["pip", rest @ ..] = words {
        return pip(rest);
    }
    if verb(words) != Some("sync") {
        return None;
    }
    let asks_for_more = has(words, &["--all-groups", "--dev", "--only-dev"])
        || option(words, "--group", &["dev", "test", "lint"]);
    let leaves_out = has(words, &["--no-dev", "--no-default-groups"])
        || option(words, "--no-group", &["dev"])
        || variables.get("UV_NO_DEV").is_some_and(|value| matches!(value.as_str(), "1" | "true"));
    Some(Install { production: leaves_out && !asks_for_more, ..project(Ecosystem::Python) })
}

fn python_project(program: &str, words: &[&str]) -> Option<Install> {
    let verb = verb(words)?;
    let production = match (program, verb) {
        ("poetry", "install" | "sync") => {
            has(words, &["--no-dev"])
                || option(words, "--only", &["main"])
                || words.iter().any(|word| word.contains("dev")) && has_prefix(words, "--without")
        }
        ("pdm", "install" | "sync") => has(words, &["--prod", "--production", "--no-dev"]),
        ("pipenv", "install" | "sync") => !has(words, &["--dev", "-d"]),
        _ => return None,
    };
    Some(Install { production, ..project(Ecosystem::Python) })
}

fn has_prefix(words: &[&str], prefix: &str) -> bool {
    words.iter().any(|word| word.starts_with(prefix))
}

/// Whether the command downloads dependencies for a compiler.
fn compiled(program: &str, words: &[&str]) -> bool {
    match (program, words) {
        ("go", ["mod", "download" | "vendor", ..])
        | ("cargo", ["fetch", ..] | ["chef", "cook", ..])
        | ("dotnet", ["restore", ..])
        | ("bundle", ["install", ..])
        | ("mix", ["deps.get", ..]) => true,
        ("mvn" | "mvnw", words) => words.iter().any(|word| word.starts_with("dependency:")),
        ("gradle" | "gradlew", words) => words.contains(&"dependencies"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::commands;

    fn install(line: &str) -> Option<Install> {
        of(&commands(line)[0], &Variables::new())
    }

    #[test]
    fn production_installs_are_recognised() {
        for line in [
            "npm ci --omit=dev",
            "npm ci --omit dev",
            "NODE_ENV=production npm ci",
            "pnpm install --frozen-lockfile --prod",
            "yarn install --production",
            "yarn workspaces focus --production",
            "npm prune --production",
            "uv sync --frozen --no-dev",
            "UV_NO_DEV=1 uv sync",
            "pip install --no-cache-dir -r requirements.txt",
            "python -m pip install .",
            "poetry install --without dev,test",
            "poetry install --only=main",
            "composer install --no-dev",
            "go mod download",
            "./mvnw dependency:go-offline",
        ] {
            let found = install(line).unwrap_or_else(|| panic!("{line}"));
            assert!(found.production && !found.named, "{line}: {found:?}");
        }
    }

    #[test]
    fn installs_with_dev_dependencies_are_recognised() {
        for line in [
            "npm ci",
            "npm install",
            "yarn",
            "NODE_ENV=production npm ci --include=dev",
            "uv sync --locked",
            "uv sync --no-dev --group test",
            "pip install -r requirements-dev.txt",
            "pip install -e .[dev]",
            "poetry install",
            "pipenv sync --dev",
        ] {
            let found = install(line).unwrap_or_else(|| panic!("{line}"));
            assert!(!found.production && !found.named, "{line}: {found:?}");
        }
    }

    #[test]
    fn packages_named_in_the_command_are_tools_and_builds_install_nothing() {
        for line in ["pip install uv==0.13.8", "npm install -g pnpm", "npm i --no-save next"] {
            assert!(install(line).unwrap().named, "{line}");
        }
        for line in [
            "npm run build",
            "go build ./...",
            "cargo build",
            "uv --version",
            "yarn build",
            "echo npm ci",
        ] {
            assert_eq!(install(line), None, "{line}");
        }
    }
}
