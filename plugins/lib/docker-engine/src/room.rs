//! Whether the engine, and nodes that are containers of it, have what Kubernetes needs.

use std::time::Duration;
use todohost_plugin::process::Command;

const GIB: u64 = 1 << 30;
/// With less, pods are evicted or killed soon after the first ones run.
const LEAST_MEMORY: u64 = 2 * GIB;
/// With less, an image or two more do not fit.
const LEAST_DISK: u64 = 2 * GIB;

/// What the engine is short of, one line each; whoever cannot be asked says nothing.
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
            "the Docker engine has {} of memory, Kubernetes wants 2 GiB and more{WHERE}",
            gibibytes(memory)
        ));
    }
    if cpus < 2 {
        short.push(format!("the Docker engine has one processor, Kubernetes wants two{WHERE}"));
    }
    short
}

const WHERE: &str = " (Docker Desktop: Settings, Resources)";

/// What a node's disk is short of, where it is.
pub fn of_node(node: &str) -> Option<String> {
    let output = Command::new("docker")
        .args(["exec", node, "df", "-P", "-k", "/var"])
        .timeout(Duration::from_secs(5))
        .run()
        .ok()?;
    let free = free(&output.stdout_text())?;
    (free < LEAST_DISK).then(|| {
        format!(
            "{} are free on the disk of {node}: images may not fit; `docker system df` shows what takes the room",
            gibibytes(free)
        )
    })
}

/// The free bytes in an answer of `df -P -k`, of which the last line is about the folder.
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
    fn an_engine_that_is_too_small_is_told() {
        assert_eq!(read("8323289088 8\n"), Vec::<String>::new());
        let short = read("1999000000 1\n");
        assert_eq!(short.len(), 2);
        assert!(short[0].contains("1.8 GiB of memory"), "{short:?}");
        assert!(short[1].contains("one processor"), "{short:?}");
        // Nothing is known of one that does not answer.
        for text in ["0 0\n", "", "error", "12"] {
            assert_eq!(read(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn the_free_part_of_a_disk_is_read() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 61202244 59000000 1048576 99% /var\n";
        assert_eq!(free(text), Some(GIB));
        assert_eq!(free("df: /var: No such file or directory\n"), None);
        assert_eq!(free(""), None);
    }
}
