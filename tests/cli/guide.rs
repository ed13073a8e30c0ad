//! The guide in `docs/plugins.md`: its example target is built like a third-party plugin, named by its path, and
//! deployed to.

use todohost_testkit::{Project, Rule};

use super::targets::image;
use super::world::{DATABASE, World, assert_refusal, outside_plugin};

fn read(path: &str) -> String {
    std::fs::read_to_string(todohost_tests::workspace().join(path)).unwrap()
}

/// k3s as its tool reports it, running or stopped.
fn world(begins_running: bool) -> World {
    let world = World::with(Project::shop(), "docker-desktop", &[]);
    let ready = Rule::on("kubectl get --raw=/readyz");
    let rules = [
        if begins_running { ready.prints("ok") } else { ready.fails(1, "connection refused\n") },
        Rule::on("kubectl config view --raw").prints(&world.cluster.kubeconfig("default")),
        Rule::on("ctr images list --quiet")
            .requires("arrived")
            .prints(&format!("docker.io/library/{}\n", image())),
        Rule::on("ctr images list --quiet").prints("docker.io/rancher/mirrored-pause:3.6\n"),
        Rule::on("ctr images import -").sets("arrived"),
    ];
    world.tools.program("k3s", &rules);
    let save = [Rule::on("save **").prints("an archive of images")];
    world.tools.program("docker", &[&save[..], &super::world::docker()].concat());
    // The kubeconfig's context is not needed, since the target returns its own.
    std::fs::remove_file(world.project.kubeconfig()).unwrap();
    std::fs::create_dir_all(world.project.root().join("targets")).unwrap();
    let place = world.project.root().join("targets/k3s.wasm");
    std::fs::copy(outside_plugin("k3s-target"), place).unwrap();
    world.project.append("todohost.toml", "\n[targets.k3s]\nplugin = \"targets/k3s.wasm\"\n");
    world
}

fn deploy(world: &World) -> todohost_testkit::Host {
    let secret = format!("secrets.databaseUrl={DATABASE}");
    world.host().args(["deploy", "--target", "k3s", "--set", &secret])
}

#[test]
fn guide_shows_the_source_of_the_tested_plugin() {
    let page = read("docs/plugins.md");
    for file in ["plugin.toml", "src/lib.rs"] {
        let text = read(&format!("tests/plugins/k3s-target/{file}"));
        assert!(page.contains(&text), "docs/plugins.md does not show {file} unchanged");
        assert!(text.lines().count() < 150, "{file}");
    }
    for line in ["plugin = \"targets/k3s.wasm\"", "todohost plugin allow targets/k3s.wasm"] {
        assert!(page.contains(line), "docs/plugins.md lacks the line {line}");
    }
}

#[test]
fn custom_target_can_be_deployed_to_after_consent() {
    let world = world(true);
    assert_refusal!(world, deploy(&world).run());
    let _ = world.run("plugin allow targets/k3s.wasm").expect_code(0);
    let listed = world.run("target list").expect_code(0).stdout;
    let line = listed.lines().find(|line| line.starts_with("k3s ")).unwrap();
    assert!(line.contains("ready") && line.contains("the k3s of this machine"), "{line}");
    let finished = deploy(&world).run().expect_code(0);
    world.assert_no_leak(&finished);
    let brought = |world: &World| {
        world.tools.lines().iter().filter(|line| *line == "k3s ctr images import -").count()
    };
    assert_eq!(brought(&world), 1);
    assert!(world.cluster.get("deployments.apps", "shop", "shop-web").is_some());
    let _ = deploy(&world).run().expect_code(0);
    assert_eq!(brought(&world), 1);
}

#[test]
fn stopped_custom_target_is_reported_with_its_start_command() {
    let world = world(false);
    let _ = world.run("plugin allow targets/k3s.wasm").expect_code(0);
    world.cluster.fault(todohost_testkit::Fault {
        method: String::new(),
        path: "/".into(),
        times: None,
        effect: todohost_testkit::cluster::Effect::Refuse(todohost_testkit::Refusal::new(
            503,
            "ServiceUnavailable",
            "starting",
        )),
    });
    assert_refusal!(world, deploy(&world).run());
    world.assert_untouched();
}
