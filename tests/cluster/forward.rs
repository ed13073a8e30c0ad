//! Access to the app on the real cluster: a verified address, and a forwarded port that outlives a pod.

#[cfg(unix)]
use std::net::TcpStream;

#[cfg(unix)]
use todohost_tests::address;
use todohost_tests::real::Real;

/// The app `shop` with pods that answer with their names.
fn shop(name: &str) -> Real {
    let real = Real::shop(name);
    real.project.replace("web/server.py", "os.environ[\"GREETING\"]", "os.environ[\"HOSTNAME\"]");
    real
}

#[cfg(unix)]
fn get(port: u16) -> String {
    address::get(&format!("http://127.0.0.1:{port}"))
}

#[cfg(unix)]
#[test]
fn forwarded_port_survives_the_deletion_of_its_pod() {
    let real = shop("forward");
    let database = "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop";
    let _ = real.deploy().args(["--set", database]).run().expect_code(0);
    let port = address::free_port();
    let args = ["forward", "shop-web", "--target", real.target(), "--port", &port.to_string()];
    let mut running = real.host().args(args).spawn();
    running.wait_for_output(&format!("http://127.0.0.1:{port} leads to Service/shop-web"));
    let before = real.pods("shop-web");
    assert_eq!([get(port)], before.as_slice());

    real.kubectl(&format!("delete pod {} --wait=false", before[0]));
    // The request waits until the next pod is ready.
    let waited = get(port);
    let deleted = real.kubectl(&format!("wait --for=delete pod/{} --timeout=90s", before[0]));
    let rolled = real.kubectl("rollout status deployment/shop-web --timeout=90s");
    let after = real.pods("shop-web");
    assert_ne!(before, after, "{deleted}{rolled}");
    assert_eq!([waited], after.as_slice());
    assert_eq!([get(port)], after.as_slice());

    running.interrupt();
    let _ = running.finish().expect_code(0);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn printed_address_is_verified_to_reach_the_cluster() {
    let real = shop("reach");
    real.project.replace(
        "chart/templates/service.yaml",
        "      targetPort: http\n",
        "      targetPort: http\n      nodePort: 30921\n",
    );
    let database = "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop";
    let deploy = real.deploy().args(["--set", database, "--set", "service.type=NodePort"]);
    let deployed = deploy.args(["--output", "json"]).run().expect_code(0);
    let address = deployed.events().pop().unwrap()["addresses"][0].clone();
    assert!(address.as_str().unwrap().starts_with("http://"), "{}", deployed.stdout);
    // A user without the deploy's cache can verify the address as well, by the pod's name in the response.
    let status = real.host().args(["status", "--target", real.target()]);
    let bob = real.elsewhere(status).run().expect_code(0);
    assert!(bob.stdout.contains(address.as_str().unwrap()), "{}", bob.output());
    assert!(!bob.output().contains("in another cluster would answer"), "{}", bob.output());
}
