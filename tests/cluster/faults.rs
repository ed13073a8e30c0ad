//! The fault test on a real cluster: every request between host and API server fails once.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use todohost_testkit::{FaultProxy, Host, Strike};
use todohost_tests::real::Real;

/// `kubectl proxy`: the API server over plain HTTP, with the user's credentials.
struct Door {
    process: Child,
    address: SocketAddr,
}

impl Door {
    fn open(context: &str) -> Self {
        let mut process = Command::new("kubectl")
            .args(["--context", context, "proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // `Starting to serve on 127.0.0.1:40123`
        let address = line.trim().rsplit(' ').next().unwrap().parse();
        let address = address.unwrap_or_else(|_| panic!("kubectl proxy printed: {line}"));
        Self { process, address }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn deploy(real: &Real, proxy: &FaultProxy, greeting: &str) -> Host {
    let file = real.project.folder().join("proxied-kubeconfig");
    std::fs::write(&file, proxy.kubeconfig(real.context())).unwrap();
    real.deploy()
        .args(["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"])
        .args(["--set", &format!("greeting={greeting}")])
        .variable("KUBECONFIG", file)
}

#[test]
fn api_server_outage_during_a_deploy_is_waited_for() {
    let real = Real::shop("restarts");
    let door = Door::open(real.context());
    // A slow start gives time for the outage.
    let server = real.project.read("web/server.py");
    real.project.write("web/server.py", &format!("import time\ntime.sleep(10)\n{server}"));
    let mut proxy = FaultProxy::before(door.address);
    let mut running = deploy(&real, &proxy, "hello").args(["--output", "json"]).spawn();
    running.wait_for_output("object-waiting");
    proxy.go_away();
    std::thread::sleep(Duration::from_secs(8));
    proxy.come_back();
    let finished = running.finish().expect_code(0);
    assert_eq!(real.revisions(), ["1 deployed"], "{}", finished.output());
    assert_eq!(real.object("deployment", "shop-web")["status"]["availableReplicas"], 1);
    assert_eq!(real.kubectl("get leases -o name"), "");
}

#[test]
fn deploy_succeeds_under_every_fault() {
    let real = Real::shop("ready-faults");
    let door = Door::open(real.context());
    for (revision, strike) in (1..).zip(Strike::ALL) {
        let proxy = FaultProxy::start(door.address, strike);
        let finished = deploy(&real, &proxy, &format!("hello-{strike:?}")).run();
        let strikes = proxy.struck();
        assert_eq!(finished.code(), Some(0), "{strike:?}\n{}\n{strikes:#?}", finished.output());
        assert!(!strikes.is_empty(), "{strike:?} struck nothing");
        let newest = format!("{revision} deployed");
        assert!(real.revisions().contains(&newest), "{strike:?}: {:?}", real.revisions());
    }
}

#[test]
fn failed_upgrade_is_rolled_back_under_every_fault_with_its_true_cause() {
    let real = Real::shop("taken-back-faults");
    let door = Door::open(real.context());
    let _ = deploy(&real, &FaultProxy::before(door.address), "hello").run().expect_code(0);
    let before = real.object("deployment", "shop-web");
    real.project.write("web/server.py", "raise SystemExit('the new version cannot start')\n");
    for strike in Strike::ALL {
        let proxy = FaultProxy::start(door.address, strike);
        let finished = deploy(&real, &proxy, "hello-again").run().expect_code(11);
        let (output, strikes) = (finished.output(), proxy.struck());
        assert!(!strikes.is_empty(), "{strike:?} struck nothing");
        for part in ["the new version cannot start", "rolled back to revision 1"] {
            assert!(output.contains(part), "{strike:?}: no {part} in:\n{output}");
        }
        let after = real.object("deployment", "shop-web");
        assert_eq!(before["spec"], after["spec"], "{strike:?}\n{output}");
        assert_eq!(after["status"]["availableReplicas"], 1, "{strike:?}\n{output}");
    }
}
