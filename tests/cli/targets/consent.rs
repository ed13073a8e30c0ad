//! Consent on a terminal: one clear question, which defaults to `No` and is never overdrawn.

use std::time::Duration;

use rexpect::process::WaitStatus;
use rexpect::session::{Options, PtySession, spawn_with_options};
use todohost_testkit::{Host, Rule};

use super::product::{Begins, Product, all};
use crate::world::World;

const QUESTION: &str =
    "kind is absent: the cluster todohost does not exist. Create the kind cluster todohost? [y/N] ";

fn kind() -> Product {
    all().into_iter().find(|product| product.target == "kind").unwrap()
}

/// The host on a terminal with live lines.
fn on_terminal(host: Host) -> PtySession {
    let command = host.without("NO_COLOR").variable("TERM", "xterm").command();
    let options = Options::new().timeout_ms(Some(60_000)).strip_ansi_escape_codes(true);
    spawn_with_options(command, options).unwrap()
}

/// Reads the remaining output; returns the exit code and that output.
#[track_caller]
fn ended(mut session: PtySession) -> (i32, String) {
    let shown = session.exp_eof().unwrap();
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => (code, shown),
        status => panic!("it did not exit but {status:?}: {shown}"),
    }
}

fn creations(world: &World) -> usize {
    world.tools.lines().iter().filter(|line| line.starts_with("kind create")).count()
}

#[test]
fn yes_creates_the_cluster_and_the_question_is_not_overdrawn() {
    let product = kind();
    let world = product.world(Begins::Absent);
    let mut session = on_terminal(product.deploy(&world, &[]));
    session.exp_string(QUESTION).unwrap();
    // Several redraw intervals of live lines.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(session.try_read(), None, "the question was overdrawn");
    assert_eq!(creations(&world), 0);
    session.send_line("y").unwrap();
    let (code, shown) = ended(session);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(creations(&world), 1);
    assert!(shown.contains("shop is deployed on kind, revision 1"), "{shown}");
}

#[test]
fn other_answers_mean_no() {
    let product = kind();
    let world = product.world(Begins::Absent);
    for answer in ["\n", "n\n", "what?\n", "\u{4}"] {
        let mut session = on_terminal(product.deploy(&world, &[]));
        session.exp_string(QUESTION).unwrap();
        session.send(answer).unwrap();
        session.flush().unwrap();
        let (code, shown) = ended(session);
        assert_eq!(code, 5, "{answer:?}: {shown}");
        assert!(shown.contains("todohost::target::not_started"), "{answer:?}: {shown}");
        assert!(shown.contains("--yes"), "{answer:?}: {shown}");
    }
    assert_eq!(creations(&world), 0);
    world.assert_untouched();
}

#[test]
fn ctrl_c_at_a_question_ends_the_run() {
    let product = kind();
    let world = product.world(Begins::Absent);
    let mut session = on_terminal(product.deploy(&world, &[]));
    session.exp_string(QUESTION).unwrap();
    session.send_control('c').unwrap();
    let (code, shown) = ended(session);
    assert_eq!(code, 130, "{shown}");
    assert!(shown.contains("nothing was left behind"), "{shown}");
    assert_eq!(creations(&world), 0);
    world.assert_untouched();
}

#[test]
fn several_targets_ask_one_after_the_other() {
    let product = kind();
    let world = product.world(Begins::Absent);
    let table = "\n[targets.second]\nplugin = \"kind\"\noptions = { cluster = \"second\" }\n";
    world.project.append("todohost.toml", table);
    let mut session = on_terminal(product.deploy(&world, &["--target", "second"]));
    let before = session.exp_string("? [y/N] ").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(session.try_read(), None, "the second question came before the first answer");
    session.send_line("n").unwrap();
    let between = session.exp_string("? [y/N] ").unwrap();
    session.send_line("n").unwrap();
    let (code, shown) = ended(session);
    assert_eq!(code, 5, "{shown}");
    for cluster in ["todohost", "second"] {
        let question = format!("Create the kind cluster {cluster}");
        assert!(before.contains(&question) != between.contains(&question), "{before}{between}");
    }
    // Both are reported in full: one in the table, one at the end.
    assert_eq!(shown.matches("code: todohost::target::not_started").count(), 2, "{shown}");
    assert_eq!(creations(&world), 0);
}

#[test]
fn read_only_commands_do_not_ask() {
    let product = kind();
    let world = product.world(Begins::Absent);
    for line in ["doctor --target kind", "status --target kind", "target list"] {
        let (code, shown) = ended(on_terminal(world.host().args(line.split(' '))));
        assert_eq!(code == 0, line == "target list", "{line}: {shown}");
        assert!(!shown.contains("[y/N]"), "{line}: {shown}");
    }
    assert_eq!(creations(&world), 0);
}

#[test]
fn cluster_is_deleted_after_yes_and_kept_after_ctrl_c() {
    let product = kind();
    let world = product.world(Begins::Running);
    let deletions = |world: &World| {
        world.tools.lines().iter().filter(|line| line.starts_with("kind delete")).count()
    };
    let delete = || {
        let mut session = on_terminal(world.host().args(["target", "delete", "kind"]));
        session.exp_string("[y/N] ").unwrap();
        session
    };
    let mut session = delete();
    session.send_control('c').unwrap();
    let (code, shown) = ended(session);
    assert_eq!((code, deletions(&world)), (130, 0), "{shown}");
    let mut session = delete();
    session.send_line("yes").unwrap();
    let (code, shown) = ended(session);
    assert_eq!((code, deletions(&world)), (0, 1), "{shown}");
}

#[test]
fn escape_sequences_of_a_target_are_removed() {
    let product = kind();
    let world = product.world(Begins::Absent);
    // The target's message contains the engine's output.
    let evil = Rule::on("**").fails(1, "Cannot connect to the Docker daemon\u{1b}[2J\u{1b}[1;1H\n");
    world.tools.program("docker", &[evil]);
    let command = product.deploy(&world, &[]).without("NO_COLOR").variable("TERM", "xterm");
    let options = Options::new().timeout_ms(Some(60_000)).strip_ansi_escape_codes(false);
    let session = spawn_with_options(command.command(), options).unwrap();
    let (code, shown) = ended(session);
    assert_ne!(code, 0, "{shown}");
    assert!(!shown.contains("\u{1b}[2J"), "{shown:?}");
}
