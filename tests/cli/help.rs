//! Help and version of the binary.

use super::world::World;

#[test]
fn every_command_has_help() {
    let world = World::new();
    for line in [
        "",
        "deploy",
        "build",
        "render",
        "apply",
        "verify",
        "check",
        "doctor",
        "diff",
        "plan",
        "status",
        "history",
        "forward",
        "rollback",
        "delete",
        "plugin",
        "plugin list",
        "plugin inspect",
        "plugin allow",
        "target",
        "target list",
        "target delete",
    ] {
        let finished = world.run(&format!("{line} --help")).expect_code(0);
        assert_eq!(finished.stderr, "");
        let name = format!("help-{}", line.replace(' ', "-"));
        // Nothing else is filtered: `docs/reference/commands.md` is generated from these snapshots.
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(true);
        settings.set_omit_expression(true);
        settings.add_filter(r"[ \t]+\n", "\n");
        settings.bind(|| insta::assert_snapshot!(name.trim_end_matches('-'), finished.stdout));
    }
}

#[test]
fn version_is_that_of_the_workspace() {
    let finished = World::new().run("--version").expect_code(0);
    assert_eq!(finished.stdout, format!("todohost {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn unknown_command_is_refused_with_a_suggestion() {
    let world = World::new();
    let finished = world.run("delpoy").expect_code(2);
    assert!(finished.stderr.contains("deploy"), "{}", finished.stderr);
}
