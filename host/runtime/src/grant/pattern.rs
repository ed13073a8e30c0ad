//! Matching of a grant's patterns.

use std::net::IpAddr;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Matches a text: `*` stands for any text, also an empty one, and every other character for itself.
pub fn text_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// Matches arguments: `**` stands for any number of arguments, `*` for any text inside one.
pub fn arguments_match(shape: &[String], arguments: &[String]) -> bool {
    // reached[i]: the shape so far matches the first i arguments.
    let mut reached = vec![false; arguments.len() + 1];
    reached[0] = true;
    for pattern in shape {
        if pattern == "**" {
            if let Some(from) = reached.iter().position(|&yes| yes) {
                reached[from..].fill(true);
            }
            continue;
        }
        let mut next = vec![false; arguments.len() + 1];
        for (at, argument) in arguments.iter().enumerate() {
            next[at + 1] = reached[at] && text_matches(pattern, argument);
        }
        reached = next;
    }
    reached[arguments.len()]
}

/// Matches `API-VERSION/KIND`: a pattern is e.g. `apps/v1/*`, or `*` for every kind.
pub fn kind_matches(pattern: &str, api_version: &str, kind: &str) -> bool {
    match pattern.rsplit_once('/') {
        None => pattern == "*",
        Some((version, name)) => text_matches(version, api_version) && text_matches(name, kind),
    }
}

/// Matches `host:port`: a pattern is e.g. `localhost:*` or `*.example:443`.
pub fn place_matches(pattern: &str, host: &str, port: u16) -> bool {
    let Some((name, number)) = pattern.rsplit_once(':') else { return false };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    (number == "*" || number.parse() == Ok(port))
        && text_matches(&name.to_ascii_lowercase(), &host.to_ascii_lowercase())
}

/// Whether a name may resolve to `address`. A public name must not resolve to a local address (DNS rebinding).
///
/// Loopback, link-local and unspecified addresses need a grant of the name `localhost` or of the address itself.
pub fn address_is_expected(host: &str, address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let inside = match address {
        IpAddr::V4(four) => four.is_loopback() || four.is_link_local() || four.is_unspecified(),
        IpAddr::V6(six) => six.is_loopback() || six.is_unicast_link_local() || six.is_unspecified(),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    !inside
        || host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok()
}

/// Matches paths with `/`: `*` stays within a directory, `**` does not.
pub fn paths<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // Skip an invalid pattern: it matches nothing, so access is denied.
        if let Ok(glob) = path(pattern.as_ref()) {
            set.add(glob);
        }
    }
    set.build().unwrap_or_else(|_| GlobSet::empty())
}

/// One path pattern.
pub fn path(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).backslash_escape(false).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments_follow_their_shape() {
        for (shape, arguments, expected) in [
            ("", "", true),
            ("", "ps", false),
            ("version", "version", true),
            ("version", "version --short", false),
            ("version --format *", "version --format {{.Server}}", true),
            ("version --format *", "version --format", false),
            ("buildx build **", "buildx build", true),
            ("buildx build **", "buildx build --load .", true),
            ("buildx build **", "buildx rm", false),
            ("** --end", "a b --end", true),
            ("** --end", "a b --end c", false),
            ("run --name=todo-*", "run --name=todo-1", true),
            ("run --name=todo-*", "run --name=other", false),
            ("load ** --name *", "load x --name kind", true),
        ] {
            assert_eq!(
                arguments_match(&words(shape), &words(arguments)),
                expected,
                "`{shape}` on `{arguments}`"
            );
        }
    }

    #[test]
    fn an_argument_is_never_split() {
        assert!(!arguments_match(&words("image inspect *"), &["image inspect x".to_owned()]));
    }

    #[test]
    fn text_patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(text_matches(pattern, text), expected, "`{pattern}` on `{text}`");
        }
    }

    #[test]
    fn kinds() {
        for (pattern, version, kind, expected) in [
            ("v1/Pod", "v1", "Pod", true),
            ("v1/Pod", "v1", "Secret", false),
            ("apps/v1/*", "apps/v1", "Deployment", true),
            ("v1/*", "apps/v1", "Deployment", false),
            ("*/*", "apps/v1", "Deployment", true),
            ("*", "v1", "Secret", true),
            ("Pod", "v1", "Pod", false),
        ] {
            assert_eq!(kind_matches(pattern, version, kind), expected, "`{pattern}`");
        }
    }

    #[test]
    fn places() {
        for (pattern, host, port, expected) in [
            ("localhost:*", "localhost", 30000, true),
            ("localhost:80", "localhost", 8080, false),
            ("*.example:443", "api.example", 443, true),
            ("*.example:443", "example", 443, false),
            ("[::1]:80", "::1", 80, true),
            ("LOCALHOST:80", "localhost", 80, true),
            ("localhost", "localhost", 80, false),
        ] {
            assert_eq!(
                place_matches(pattern, host, port),
                expected,
                "`{pattern}` on {host}:{port}"
            );
        }
    }

    #[test]
    fn a_public_name_with_a_local_address_is_not_expected() {
        for (host, address, expected) in [
            ("rebind.example", "127.0.0.1", false),
            ("rebind.example", "::ffff:127.0.0.1", false),
            ("metadata.example", "169.254.169.254", false),
            ("localhost", "::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("db.example", "10.1.2.3", true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(address_is_expected(host, address), expected, "{host} -> {address}");
        }
    }

    #[test]
    fn a_star_stays_in_its_directory() {
        let set = paths(["helm/*", "backend/**"]);
        assert!(set.is_match("helm/values.yaml"));
        assert!(!set.is_match("helm/templates/x.yaml"));
        assert!(set.is_match("backend/app/main.py"));
        assert!(!set.is_match("frontend/x"));
    }
}
