//! Images of revisions that are no longer kept: removed unless an object in the cluster may need them.

use todohost_testkit::Finished;

use super::world::World;

/// Number of revisions that are kept.
const HISTORY: usize = 10;

const GONE: &str = "pruned images that no revision needs: ";

/// The image that the Deployment runs now.
fn image(world: &World, namespace: &str) -> String {
    let deployment = world.cluster.get("deployments.apps", namespace, "shop-web").unwrap();
    let image = deployment.pointer("/spec/template/spec/containers/0/image").unwrap();
    image.as_str().unwrap().to_owned()
}

fn greet(world: &World, number: usize) -> Finished {
    world.deploy().args(["--set", &format!("greeting=hello-{number}")]).run().expect_code(0)
}

/// Deploys a revision with its own image, then as many others as push it out of the history; returns that image and the
/// output of the last deploy.
fn forget_the_first(world: &World) -> (String, Finished) {
    let _ = world.deploy().run().expect_code(0);
    let first = image(world, "shop");
    world.project.append("web/server", "# changed\n");
    for number in 2..=HISTORY {
        let finished = greet(world, number);
        assert!(!finished.stderr.contains(GONE), "{}", finished.output());
    }
    assert_ne!(image(world, "shop"), first);
    (first, greet(world, HISTORY + 1))
}

fn removals(world: &World) -> Vec<String> {
    world.tools.lines().into_iter().filter(|line| line.contains("image rm")).collect()
}

#[test]
fn image_of_a_forgotten_revision_is_removed() {
    let world = World::new();
    let (first, finished) = forget_the_first(&world);
    assert!(finished.stderr.contains(&format!("{GONE}{first}")), "{}", finished.output());
    assert_eq!(removals(&world), [format!("docker image rm {first}")]);
    // The next forgotten revision has the same image as the kept ones.
    let finished = greet(&world, HISTORY + 2);
    assert!(!finished.stderr.contains(GONE), "{}", finished.output());
    assert_eq!(removals(&world).len(), 1);
    assert!(!world.revisions().iter().any(|one| one.starts_with("2 ")), "{:?}", world.revisions());
}

#[test]
fn image_used_by_another_release_is_kept() {
    let world = World::new();
    world.project.replace("todohost.toml", "namespace = \"shop\"", "namespace = \"shop-too\"");
    let _ = world.deploy().run().expect_code(0);
    world.project.replace("todohost.toml", "namespace = \"shop-too\"", "namespace = \"shop\"");
    let (first, finished) = forget_the_first(&world);
    assert_eq!(image(&world, "shop-too"), first);
    assert!(!finished.stderr.contains(GONE), "{}", finished.output());
    assert_eq!(removals(&world), [""; 0]);
}
