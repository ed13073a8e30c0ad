//! Published ports of containers.

use std::time::Duration;
use todohost_plugin::Result;
use todohost_plugin::process::Command;

/// Returns the port of this machine on which a container's port is published, or `None` if it is not published.
///
/// # Errors
/// Fails if `docker` is not granted.
pub fn published(container: &str, port: u16) -> Result<Option<u16>> {
    let output = Command::new("docker")
        .args(["port", container, &format!("{port}/tcp")])
        .timeout(Duration::from_secs(10))
        .run()?;
    Ok(parse(&output.stdout_text()))
}

/// Returns the user's container that publishes a port of this machine; `None` also if `docker` fails. Docker Desktop's
/// own containers do not count.
pub fn publisher(port: u16) -> Option<String> {
    let output = Command::new("docker")
        .args(["ps", "--filter", &format!("publish={port}/tcp"), "--format", "{{.Names}}"])
        .timeout(Duration::from_secs(10))
        .run()
        .ok()?;
    first_of_user(&output.stdout_text()).filter(|_| output.success())
}

fn first_of_user(names: &str) -> Option<String> {
    names.lines().find(|name| !name.is_empty() && !name.starts_with("desktop-")).map(str::to_owned)
}

/// The port in an answer such as `127.0.0.1:49153`.
fn parse(answer: &str) -> Option<u16> {
    answer.lines().find_map(|line| line.trim().rsplit_once(':')?.1.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_docker_desktop_are_skipped() {
        let user = first_of_user("desktop-control-plane\nother-control-plane\n");
        assert_eq!(user.as_deref(), Some("other-control-plane"));
        assert_eq!(first_of_user("desktop-control-plane\n"), None);
        assert_eq!(first_of_user("\n"), None);
    }

    #[test]
    fn published_port_is_parsed() {
        assert_eq!(parse("127.0.0.1:49153\n"), Some(49153));
        assert_eq!(parse("[::1]:49154\n"), Some(49154));
        assert_eq!(parse(""), None);
        assert_eq!(parse("Error: No public port\n"), None);
    }
}
