//! Delivery to the image stores of kind's nodes: which images, and how many bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use todohost_testkit::Project;
use todohost_tests::real::Real;

use super::node::{Node, docker};
use super::{delivered, deploy, require_kind, targets};

/// Size of the changing layer, which is incompressible.
const LAYER: u64 = 1 << 20;

/// The app `shop` with a layer of [`LAYER`] bytes.
fn shop(name: &str) -> Real {
    require_kind();
    let _ = targets();
    let real = Real::shop_on(&["kind".to_owned()], name).remove(0);
    forget_images(real.namespace());
    real.project.replace("web/Dockerfile", "CMD", "COPY noise /noise\nCMD");
    make_noise(&real.project);
    real
}

/// Writes new random bytes.
fn make_noise(project: &Project) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let mut state = u64::try_from(now % u128::from(u64::MAX)).unwrap() | 1;
    let noise: Vec<u8> = (0..LAYER / 8)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    std::fs::write(project.root().join("web/noise"), noise).unwrap();
}

/// Removes the images of earlier runs from the engine.
fn forget_images(name: &str) {
    let listed = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name]);
    for reference in String::from_utf8(listed.stdout).unwrap().lines() {
        let removed = docker(&["image", "rm", "--force", reference]);
        assert!(removed.status.success(), "{removed:?}");
    }
}

fn size_of(reference: &str) -> u64 {
    let size = docker(&["image", "inspect", "--format", "{{.Size}}", reference]);
    String::from_utf8(size.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn only_the_changed_layer_is_sent() {
    let real = shop("layers");
    let (_, first) = delivered(&deploy(&real).run().expect_code(0));
    make_noise(&real.project);
    let (reference, second) = delivered(&deploy(&real).run().expect_code(0));
    let image = size_of(&reference);
    println!("{first} bytes, then {second} of an image of {image}, for a layer of {LAYER}");
    assert!(image > 20 * LAYER, "the unchanged part of the image is much larger than the layer");
    assert!((LAYER..LAYER + LAYER / 4).contains(&second), "{second} bytes for {LAYER}");
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"]);
}

#[test]
fn image_lost_from_a_node_is_delivered_again_by_deploy_and_rollback() {
    let real = shop("lost");
    let node = Node("todohost-control-plane".to_owned());
    let (old, _) = delivered(&deploy(&real).run().expect_code(0));
    make_noise(&real.project);
    let (new, _) = delivered(&deploy(&real).run().expect_code(0));

    node.remove_image(&new);
    let unchanged = deploy(&real).run().expect_code(0);
    assert_eq!(delivered(&unchanged).0, new);
    assert!(node.has_image(&new));
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"], "{}", unchanged.output());

    node.remove_image(&old);
    let rollback = ["rollback", "--target", "kind", "--output", "json"];
    let back = real.host().args(rollback).run().expect_code(0);
    assert_eq!(delivered(&back).0, old);
    let deployment = real.object("deployment", "shop-web");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        (&container["image"], &container["imagePullPolicy"]),
        (&old.into(), &"Never".into())
    );
    assert_eq!(deployment["status"]["availableReplicas"], 1, "{deployment:#}");
    assert_eq!(real.revisions(), ["1 superseded", "2 superseded", "3 deployed"]);
}
