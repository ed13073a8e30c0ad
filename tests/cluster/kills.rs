//! After a kill at any moment the next deploy succeeds without manual work and leaves a consistent state.
//!
//! `TODOHOST_KILLS` sets the number of points and `TODOHOST_SEED` selects them; both are printed. Several releases are
//! killed in parallel, because most of the time is spent waiting for the cluster.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use serde_json::Value;
use todohost_testkit::Finished;
use todohost_tests::real::Real;
use todohost_tests::variable;

/// Number of points in the test suite; `make soak` uses more.
const POINTS: u64 = 20;

/// Number of parallel releases, each with its own points.
const RELEASES: u64 = 4;

/// The killed command.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Install,
    Upgrade,
    Rollback,
}

/// The generator of Knuth's MMIX: sufficient to pick moments, and equal on every platform.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn number(name: &str) -> Option<u64> {
    variable(name).map(|text| text.parse().unwrap())
}

fn todohost(real: &Real, line: &str) -> todohost_testkit::Host {
    real.host().args(line.split_whitespace()).args(["--target", real.target()])
}

/// A deploy that also writes a row for the greeting.
fn deploy(real: &Real, values: &[&str]) -> todohost_testkit::Host {
    real.deploy_parcel(values)
        .args(["--secret", "secrets.databaseUrl=env:DATABASE_URL"])
        .variable("DATABASE_URL", variable("DATABASE_URL").unwrap())
}

fn value(greeting: &str) -> String {
    format!("greeting={greeting}")
}

/// Prepares the state that an operation starts from; returns the deployed greetings.
fn prepare(real: &Real, operation: Operation, point: u64) -> Vec<String> {
    let greetings: &[&str] = match operation {
        Operation::Install => {
            let _ = todohost(real, "delete --yes --with-namespace").run().expect_code(0);
            &[]
        }
        Operation::Upgrade => &["before"],
        Operation::Rollback => &["before", "between"],
    };
    let greetings: Vec<String> = greetings.iter().map(|name| format!("{name}-{point}")).collect();
    for greeting in &greetings {
        let _ = deploy(real, &[&value(greeting)]).run().expect_code(0);
    }
    greetings
}

fn start(real: &Real, operation: Operation, point: u64) -> todohost_testkit::Host {
    match operation {
        Operation::Install | Operation::Upgrade => {
            let wanted = value(&format!("wanted-{point}"));
            deploy(real, &[&wanted, "motto=killed"])
        }
        Operation::Rollback => todohost(real, "rollback"),
    }
}

/// Asserts that records, objects and lease are consistent.
fn assert_agreed(real: &Real, point: u64, what: &str, finished: &Finished) {
    let context = || format!("{what}\n{}\n{:#?}", finished.output(), real.revisions());
    let history = todohost(real, "history -o json").run().expect_code(0);
    let history: Value = serde_json::from_str(&history.stdout).unwrap();
    let status: Vec<&str> =
        history.as_array().unwrap().iter().filter_map(|one| one["status"].as_str()).collect();
    assert_eq!(status.last(), Some(&"deployed"), "{}", context());
    let in_force = status.iter().filter(|status| **status == "deployed").count();
    assert_eq!(in_force, 1, "{}", context());
    let unfinished = status.iter().any(|status| status.contains("ing"));
    assert!(!unfinished, "{}", context());

    let settings = real.object("configmap", "parcel-settings");
    let wanted = serde_json::json!({ "greeting": format!("after-{point}") });
    assert_eq!(settings["data"], wanted, "{}", context());
    let deployment = real.object("deployment", "parcel");
    assert_eq!(deployment["status"]["availableReplicas"], 1, "{}", context());
    assert_eq!(real.kubectl("get leases -o name"), "", "{}", context());

    // The record equals the live objects, so that an equal deploy changes nothing.
    let after = value(&format!("after-{point}"));
    let again = deploy(real, &[&after]).run().expect_code(0);
    assert!(again.stderr.contains("nothing changed"), "{}\n{}", context(), again.output());
}

/// The rows that belong to these points.
fn rows_of(real: &Real, points: &RangeInclusive<u64>) -> Vec<String> {
    let is_of = |row: &String| {
        let number = row.rsplit('-').next().and_then(|number| number.parse().ok());
        number.is_some_and(|number: u64| points.contains(&number))
    };
    real.parcel_rows("read").into_iter().filter(is_of).collect()
}

/// Asserts the app's data: the earlier rows in their order, then at most one row of the killed run, then the row of the
/// current deploy. Returns the rows.
fn assert_kept(
    found: &[String],
    mut rows: Vec<String>,
    point: u64,
    operation: Operation,
    killed: &Finished,
) -> Vec<String> {
    let (wanted, after) = (format!("wanted-{point}"), format!("after-{point}"));
    let is_written = found.contains(&wanted);
    let has_ended_well = killed.code() == Some(0) && !matches!(operation, Operation::Rollback);
    assert!(is_written || !has_ended_well, "point {point}: no {wanted} in {found:?}");
    if is_written && !matches!(operation, Operation::Rollback) {
        rows.push(wanted);
    }
    rows.push(after);
    assert_eq!(*found, rows, "point {point}: {operation:?}\n{}", killed.output());
    rows
}

/// Kills operations on one release at these points; returns how often each kind was hit while running, and the number
/// of rows.
#[expect(clippy::print_stdout, reason = "a long run shows its progress")]
fn kill(points: RangeInclusive<u64>, seed: u64) -> ([u64; 3], usize) {
    let real = Real::parcel(&format!("kills-{}", points.start()));
    let mut moments = Moments(seed + points.start());

    // Measure the duration of each operation without a kill.
    let mut lengths = Vec::new();
    for operation in [Operation::Install, Operation::Upgrade, Operation::Rollback] {
        if !lengths.is_empty() {
            let _ = prepare(&real, operation, 0);
        }
        let began = Instant::now();
        let _ = start(&real, operation, 0).run().expect_code(0);
        lengths.push((operation, began.elapsed()));
    }

    let mut rows = Vec::new();
    let mut hits = [0_u64; 3];
    for point in points.clone() {
        let chosen = usize::try_from(moments.below(3)).unwrap();
        let (operation, length) = lengths[chosen];
        let length = u64::try_from(length.as_millis()).unwrap();
        let delay = Duration::from_millis(moments.below(length + length / 10));
        let what = format!("point {point}: {operation:?} killed after {delay:?}");
        println!("{what}");
        rows.extend(prepare(&real, operation, point));
        let began = Instant::now();
        let killed = start(&real, operation, point).spawn().kill_after(delay);
        if killed.code().is_none() {
            hits[chosen] += 1;
        } else {
            // The operation ended before the kill: update its duration.
            lengths[chosen].1 = began.elapsed();
        }
        let after = value(&format!("after-{point}"));
        let deploy = deploy(&real, &[&after]);
        // Another machine can continue as well, without local state.
        let finished = if point % 4 == 0 { real.elsewhere(deploy).run() } else { deploy.run() };
        let context = || format!("{what}\n{}\n{}", killed.output(), finished.output());
        assert_eq!(finished.code(), Some(0), "{}", context());
        assert_agreed(&real, point, &what, &finished);
        rows = assert_kept(&rows_of(&real, &points), rows, point, operation, &killed);
    }
    (hits, rows.len())
}

#[test]
fn the_next_deploy_after_a_kill_ends_well() {
    let points = number("TODOHOST_KILLS").unwrap_or(POINTS);
    let seed = number("TODOHOST_SEED").unwrap_or(20_261_121);
    println!("{points} points, TODOHOST_SEED={seed}");
    // This also removes the rows of an earlier run.
    let real = Real::parcel("kills");
    let _ = deploy(&real, &[]).run().expect_code(0);
    let _ = real.parcel_rows("begin");

    let share = points.div_ceil(RELEASES);
    let killed = std::thread::scope(|scope| {
        let begin = |first: u64| {
            let points = first..=points.min(first + share - 1);
            scope.spawn(move || kill(points, seed))
        };
        let step = usize::try_from(share).unwrap();
        let releases: Vec<_> = (1..=points).step_by(step).map(begin).collect();
        releases.into_iter().map(|release| release.join().unwrap()).collect::<Vec<_>>()
    });
    let _ = real.parcel_rows("forget");
    let rows: usize = killed.iter().map(|(_, rows)| rows).sum();
    println!("{rows} rows were written, and none was lost or written twice");
    let hits =
        [0, 1, 2].map(|which: usize| killed.iter().map(|(hits, _)| hits[which]).sum::<u64>());
    println!("killed in the middle: {hits:?} installs, upgrades and rollbacks of {points}");
    assert!(hits.iter().sum::<u64>() * 3 > points, "most operations ended before the kill");
}
