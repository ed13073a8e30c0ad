//! Recognises secrets by names, files and URLs. Values are neither stored nor returned.

/// Last words of names that describe a secret without being one, such as `TOKEN_TTL`.
const ABOUT: [&str; 15] = [
    "FILE",
    "PATH",
    "DIR",
    "NAME",
    "TTL",
    "EXPIRY",
    "EXPIRES",
    "SECONDS",
    "MINUTES",
    "HOURS",
    "DAYS",
    "LENGTH",
    "ALGORITHM",
    "ENABLED",
    "TYPE",
];

/// Whether a variable of this name contains a secret.
pub fn name(name: &str) -> bool {
    let words = words(name);
    if words.last().is_some_and(|last| ABOUT.contains(&last.as_str())) {
        return false;
    }
    let has = |wanted: &[&str]| words.windows(wanted.len()).any(|found| found == wanted);
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "SECRETS", "TOKEN", "CREDENTIALS", "APIKEY"]
        .iter()
        .any(|word| has(&[word]))
        || ["API", "PRIVATE", "ACCESS", "SIGNING", "ENCRYPTION"]
            .iter()
            .any(|kind| has(&[kind, "KEY"]))
}

/// Whether a variable exposes a secret: by its name, or by a URL with a password in its value.
pub fn variable(variable: &str, value: &str) -> bool {
    let is_switch = matches!(value.to_ascii_lowercase().as_str(), "true" | "false")
        || value.bytes().all(|byte| byte.is_ascii_digit());
    (name(variable) && !is_switch && !is_reference(value)) || address(value)
}

/// Whether a text contains a URL with a literal password.
pub fn address(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest
            .split(|letter: char| letter.is_whitespace() || "/?#\"'".contains(letter))
            .next()
            .unwrap_or_default();
        let Some((user, _)) = authority.rsplit_once('@') else { return false };
        user.split_once(':')
            .is_some_and(|(_, password)| !password.is_empty() && !password.starts_with(['$', '<']))
    })
}

/// Whether a file of this path usually contains secrets.
pub fn file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let example = ["example", "sample", "template", "dist", "defaults"];
    if let Some(rest) = name.strip_prefix(".env") {
        let kind = rest.trim_start_matches(['.', '-', '_']);
        return (rest.is_empty() || rest != kind)
            && !example.iter().any(|word| kind.contains(word));
    }
    matches!(
        name.as_str(),
        ".netrc"
            | ".pypirc"
            | ".pgpass"
            | "kubeconfig"
            | "id_rsa"
            | "id_ed25519"
            | "id_ecdsa"
            | "privkey.pem"
            | "key.pem"
    ) || [".key", "-key.pem", ".p12", ".pfx", ".jks"].iter().any(|end| name.ends_with(end))
}

/// Whether a value refers to a variable that contains the secret.
fn is_reference(value: &str) -> bool {
    value.starts_with('$')
}

/// The words of a name in upper case: the same for `databasePassword`, `DATABASE_PASSWORD` and `database-password`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in name.chars() {
        let is_border = !letter.is_ascii_alphanumeric();
        if (is_border || (after_lower && letter.is_ascii_uppercase()))
            && words.last().is_some_and(|word| !word.is_empty())
        {
            words.push(String::new());
        }
        if let (Some(word), false) = (words.last_mut(), is_border) {
            word.push(letter.to_ascii_uppercase());
        }
        after_lower = letter.is_ascii_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_describe_a_secret_are_not_secrets() {
        for secret in [
            "PASSWORD",
            "dbPassword",
            "JWT_SECRET",
            "GITHUB_TOKEN",
            "openai-api-key",
            "PRIVATE_KEY",
        ] {
            assert!(name(secret), "{secret}");
        }
        for plain in [
            "TOKEN_TTL",
            "SECRET_NAME",
            "PASSWORD_FILE",
            "KEY",
            "MONKEY",
            "TOKENIZERS",
            "ACCESS_TOKEN_EXPIRE_MINUTES",
            "PATH",
        ] {
            assert!(!name(plain), "{plain}");
        }
    }

    #[test]
    fn literal_values_of_secret_variables_and_urls_with_passwords_are_secrets() {
        for (given, value) in [
            ("JWT_SECRET", "x1y2"),
            ("DATABASE_URL", "postgresql://app:hunter2@db:5432/app"),
            ("ARGS", "--url redis://:pw@cache"),
        ] {
            assert!(variable(given, value), "{given}={value}");
        }
        for (given, value) in [
            ("DATABASE_URL", "postgresql://app@db/app"),
            ("DATABASE_URL", "postgresql://$(USER):$(PASSWORD)@db/app"),
            ("BACKEND_URL", "http://backend:8000"),
            ("USE_TOKEN", "true"),
            ("MAX_TOKEN", "12"),
            ("JWT_SECRET", ""),
        ] {
            assert!(!variable(given, value), "{given}={value}");
        }
    }

    #[test]
    fn files_with_secrets_are_recognised_by_name() {
        for secret in [".env", "a/.env.local", "tls/server.key", "id_rsa"] {
            assert!(file(secret), "{secret}");
        }
        for plain in [".env.example", ".envrc", "src/env.py", "ca.pem", "keys.py", "id_rsa.pub"] {
            assert!(!file(plain), "{plain}");
        }
    }
}
