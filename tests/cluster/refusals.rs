//! What a real kubelet refuses: the cause is on the screen, and nothing is left.

use todohost_testkit::Host;
use todohost_tests::real::Real;

fn deploy(real: &Real) -> Host {
    real.deploy()
        .args(["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"])
}

#[test]
fn an_image_that_nobody_has() {
    let real = Real::shop("no-image");
    real.project.replace(
        "chart/templates/deployment.yaml",
        "      containers:\n",
        "      containers:\n        - name: sidecar\n          image: no-such-image:1\n          imagePullPolicy: Never\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    for part in ["shop-web", "no-such-image:1", "help:"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    real.assert_nothing_left();
}

#[test]
fn a_container_that_exits() {
    let real = Real::shop("exits");
    real.project.write(
        "web/server.py",
        "import sys\nprint('no database at db.example', flush=True)\nsys.exit(3)\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    for part in ["shop-web", "no database at db.example", "help:"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    real.assert_nothing_left();
}

#[test]
fn an_image_that_does_not_build() {
    let real = Real::shop("no-build");
    real.project.append("web/Dockerfile", "RUN echo about to fail && exit 4\n");
    let finished = deploy(&real).run().expect_code(7);
    for part in ["RUN echo about to fail", "web/Dockerfile line 4", "help:"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    real.assert_nothing_left();
}
