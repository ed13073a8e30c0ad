//! The route by which images are loaded into a cluster's own store, on a real one of that shape.
//!
//! The app and the commands are those of the `cluster` tests; only the target differs.

use todohost_tests::real::Real;

#[test]
fn the_same_project_goes_to_a_cluster_with_a_store_of_its_own() {
    let real = Real::shop("side-load");
    let deploy = || {
        real.deploy()
            .args(["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"])
            .args(["--output", "json"])
    };
    let first = deploy().args(["--yes"]).run().expect_code(0);
    assert_eq!(real.object("deployment", "shop-web")["status"]["availableReplicas"], 1);
    let pods = real.pods("shop-web");

    let second = deploy().run().expect_code(0);
    assert_eq!(real.revisions(), ["1 deployed"], "{}\n{}", first.stdout, second.stdout);
    assert_eq!(real.pods("shop-web"), pods);

    real.project.append("web/server.py", "\n# changed\n");
    let _ = deploy().run().expect_code(0);
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"]);
    assert_ne!(real.pods("shop-web"), pods);
}
