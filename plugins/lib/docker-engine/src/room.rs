//! Warnings about an engine or nodes with too few resources for Kubernetes.

use std::time::Duration;
use todohost_plugin::process::Command;

const GIB: u64 = 1 << 30;
/// Minimum in bytes. With less, pods are evicted or killed soon after the first ones run.
const LEAST_MEMORY: u64 = 2 * GIB;
/// Minimum of free bytes, enough for one or two images.
const LEAST_DISK: u64 = 2 * GIB;

/// Returns a line for each resource that the engine lacks; none if the engine does not answer.
pub fn of_engine() -> Vec<String> {
    let output = Command::new("docker")
        .args(["info", "--format", "{{.MemTotal}} {{.NCPU}}"])
        .timeout(Duration::from_secs(5))
        .run();
    output.map(|output| read(&output.stdout_text())).unwrap_or_default()
}

fn read(text: &str) -> Vec<String> {
    let mut words = text.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(memory)), Some(Ok(cpus))) = (words.next(), words.next()) else {
        return Vec::new();
    };
    // A stopped engine prints zeros.
    if memory == 0 {
        return Vec::new();
    }
    let mut short = Vec::new();
    if memory < LEAST_MEMORY {
        short.push(format!(
            "the Docker engine has {} of memory, but Kubernetes needs 2 GiB{SETTINGS}",
            gibibytes(memory)
        ));
    }
    if cpus < 2 {
        short.push(format!(
            "the Docker engine has one processor, but Kubernetes needs two{SETTINGS}"
        ));
    }
    short
}

const SETTINGS: &str = "; in Docker Desktop, change it under Settings, Resources";

/// Returns a line about a node's disk if it is almost full.
pub fn of_node(node: &str) -> Option<String> {
    let output = Command::new("docker")
        .args(["exec", node, "df", "-P", "-k", "/var"])
        .timeout(Duration::from_secs(5))
        .run()
        .ok()?;
    let free = free(&output.stdout_text())?;
    (free < LEAST_DISK).then(|| {
        format!(
            "the disk of {node} has only {} free, images may not fit; `docker system df` shows the disk usage",
            gibibytes(free)
        )
    })
}

/// The free bytes in the output of `df -P -k`.
fn free(text: &str) -> Option<u64> {
    let line = text.lines().nth(1)?;
    line.split_whitespace().nth(3)?.parse::<u64>().ok()?.checked_mul(1024)
}

fn gibibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / GIB;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_with_few_resources_is_reported() {
        assert_eq!(read("8323289088 8\n"), Vec::<String>::new());
        let short = read("1999000000 1\n");
        assert_eq!(short.len(), 2);
        assert!(short[0].contains("1.8 GiB of memory"), "{short:?}");
        assert!(short[1].contains("one processor"), "{short:?}");
        // The resources are unknown if the engine does not answer.
        for text in ["0 0\n", "", "error", "12"] {
            assert_eq!(read(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn free_bytes_of_a_disk_are_parsed() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 61202244 59000000 1048576 99% /var\n";
        assert_eq!(free(text), Some(GIB));
        assert_eq!(free("df: /var: No such file or directory\n"), None);
        assert_eq!(free(""), None);
    }
}
