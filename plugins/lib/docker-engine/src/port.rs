//! Where a port of a container came out on this machine.

use std::time::Duration;
use todohost_plugin::Result;
use todohost_plugin::process::Command;

/// The port of this machine that leads to one of a container; a port that is not published is an answer, no failure.
///
/// # Errors
/// When `docker` may not be asked.
pub fn published(container: &str, port: u16) -> Result<Option<u16>> {
    let output = Command::new("docker")
        .args(["port", container, &format!("{port}/tcp")])
        .timeout(Duration::from_secs(10))
        .run()?;
    Ok(parse(&output.stdout_text()))
}

/// The container of the user's that a port of this machine leads to; whoever cannot be asked names none. Docker
/// Desktop's own containers are not the user's.
pub fn publisher(port: u16) -> Option<String> {
    let output = Command::new("docker")
        .args(["ps", "--filter", &format!("publish={port}/tcp"), "--format", "{{.Names}}"])
        .timeout(Duration::from_secs(10))
        .run()
        .ok()?;
    first_of_the_users(&output.stdout_text()).filter(|_| output.success())
}

fn first_of_the_users(names: &str) -> Option<String> {
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
    fn the_engines_own_containers_publish_nothing_of_the_users() {
        let user = first_of_the_users("desktop-control-plane\nother-control-plane\n");
        assert_eq!(user.as_deref(), Some("other-control-plane"));
        assert_eq!(first_of_the_users("desktop-control-plane\n"), None);
        assert_eq!(first_of_the_users("\n"), None);
    }

    #[test]
    fn the_published_port_is_read() {
        assert_eq!(parse("127.0.0.1:49153\n"), Some(49153));
        assert_eq!(parse("[::1]:49154\n"), Some(49154));
        assert_eq!(parse(""), None);
        assert_eq!(parse("Error: No public port\n"), None);
    }
}
