//! Secrets are only in Secret objects and release records: after every command and outcome, and for every request of a
//! plugin.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use todohost_testkit::{Behaviour, Finished, Host, leak};

use super::world::{API_KEY, CANARY, DATABASE, World};

/// A value that is not a secret and that plugins receive.
const GREETING: &str = "greeting-b0a91e";

/// The app crashes and logs its secrets in several encodings.
fn talkative() -> Behaviour {
    let log = format!(
        "cannot connect to {DATABASE}\nkey={API_KEY}\n{}\n",
        STANDARD.encode(format!("url={DATABASE}"))
    );
    Behaviour::Exits { code: 4, log }
}

/// Keeps the current version ready, even if later versions fail.
fn stays_good(world: &World) {
    let deployment = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    world.cluster.behaviour_of_image("shop-web", image, Behaviour::Ready);
}

/// The next deploy fails.
fn breaks(world: &World) {
    stays_good(world);
    world.cluster.behaviour("shop-web", talkative());
    world.project.write("web/server", "serve otherwise\n");
}

fn bundles(world: &World) -> usize {
    let folder = world.project.home().join(".local/state/todohost/failed");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// A command, with one secret from the environment and one from a file if it takes values.
fn command(world: &World, line: &str, form: &[&str], file: &Path) -> Host {
    let host = world.host().args(line.split_whitespace()).args(form);
    let takes_values = ["check", "render", "diff", "plan", "deploy", "apply"];
    if takes_values.iter().any(|command| line.starts_with(command)) {
        host.variable("SHOP_DATABASE", DATABASE)
            .args(["--secret", "secrets.databaseUrl=env:SHOP_DATABASE"])
            .args(["--secret", &format!("secrets.apiKey=file:{}", file.display())])
    } else {
        host
    }
}

/// Runs every command, in an order in which each has work to do.
fn goes_through(form: &[&str]) {
    let world = World::new();
    // Plugins receive the app's HTTP responses as well.
    world.cluster.answer("shop-web", "/", 200, &format!("at {DATABASE} with {API_KEY}"));
    world.add_allowed_check("recording-check", "");
    // Keep the secret file out of the searched folders.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api-key");
    std::fs::write(&file, format!("{API_KEY}\n")).unwrap();
    let run = |line: &str, code: i32| {
        let line = format!("{line} --target docker-desktop");
        let finished = command(&world, &line, form, &file).run().expect_code(code);
        world.assert_no_leak(&finished);
        assert_nothing_received(&finished);
    };
    run("check", 0);
    run("render", 0);
    run("diff", 2);
    run("plan --out next.json", 0);
    let finished = command(&world, "deploy --plan next.json", form, &file).run().expect_code(0);
    world.assert_no_leak(&finished);
    run("deploy", 0);
    let secret = world.cluster.get("secrets", "shop", "shop-secrets").unwrap();
    assert_eq!(secret["data"]["API_KEY"], STANDARD.encode(API_KEY), "{secret:#}");
    stays_good(&world);
    world.project.write("web/server", "serve more\n");
    run("plan --out next.json", 0);
    run("deploy", 0);
    for line in ["verify", "verify --tests", "status", "history"] {
        run(line, 0);
    }
    breaks(&world);
    run("deploy", 11);
    assert_eq!(bundles(&world), 1, "there is a failure report to search");
    run("deploy --no-rollback", 11);
    run("status", 0);
    run("rollback", 0);
    run("history", 0);
    run("delete --yes", 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{API_KEY}\n"));
    let secrets = world.cluster.list("secrets", "shop");
    assert_eq!(secrets.len(), 0, "{secrets:#?}");
}

#[test]
fn no_command_shows_or_keeps_a_secret() {
    goes_through(&[]);
}

#[test]
fn no_command_shows_or_keeps_a_secret_with_verbose() {
    goes_through(&["--verbose"]);
}

#[test]
fn no_command_shows_or_keeps_a_secret_with_json_output() {
    goes_through(&["--output", "json"]);
}

/// The data that recording plugins received, each with its name; empty if no events were printed.
fn received(finished: &Finished) -> Vec<(String, Vec<u8>)> {
    received_by("recording-", finished)
}

/// The data received by plugins with this prefix in their id.
fn received_by(plugins: &str, finished: &Finished) -> Vec<(String, Vec<u8>)> {
    let lines = finished.stdout.lines().filter(|line| line.starts_with('{'));
    let events = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let logs = events.filter(|event| event["event"] == "plugin-log");
    let recorded = logs.filter_map(|event| {
        let message = event["message"].as_str()?;
        assert!(!message.contains("left out"), "{message}");
        let (what, fields) = message.split_once(" x=").unwrap_or((message, ""));
        event["plugin"].as_str()?.starts_with(plugins).then(|| {
            let digits = fields.replace(" x=", "");
            let byte = |at: usize| !u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            (what.to_owned(), (0..digits.len()).step_by(2).map(byte).collect())
        })
    });
    recorded.collect()
}

fn assert_nothing_received(finished: &Finished) {
    for (what, bytes) in received(finished) {
        for secret in [CANARY, API_KEY] {
            let way = leak::find(&bytes, secret);
            let text = String::from_utf8_lossy(&bytes);
            assert_eq!(way, None, "{secret} was given to a plugin in {what}:\n{text}");
        }
    }
}

#[test]
fn no_plugin_receives_a_secret() {
    let world = World::new();
    world.cluster.answer("shop-web", "/", 200, &format!("at {DATABASE} with {API_KEY}"));
    world.give_steps_to("recording-steps", &["render", "apply", "verify"]);
    world.add_allowed_check("recording-check", "");
    let greeting = format!("greeting={GREETING}");
    let deploy = || {
        let finished = world.deploy().args(["--set", &greeting, "--output", "json"]).run();
        world.assert_no_leak(&finished);
        assert_nothing_received(&finished);
        finished
    };
    let first = deploy().expect_code(0);
    world.project.write("web/server", "serve more\n");
    let second = deploy().expect_code(0);
    breaks(&world);
    let third = deploy().expect_code(11);

    // Prove that the search covered each kind of data.
    holds(&first, "render", GREETING);
    holds(&first, "render", "secrets.databaseUrl=");
    holds(&first, "desired", GREETING);
    holds(&first, "desired", "DATABASE_URL");
    holds(&first, "judge", GREETING);
    holds(&first, "values", "databaseUrl");
    holds(&first, "rendered", "DATABASE_URL");
    holds(&first, "live", GREETING);
    holds(&first, "answer", "at ");
    holds(&second, "previous", "DATABASE_URL");
    holds(&second, "live", "DATABASE_URL");
    holds(&second, "Secret", "sh.helm.release.v1.shop.v1");
    holds(&second, "chart/values.yaml", "replicas");
    holds(&third, "last lines", "cannot connect to");
    holds(&third, "explain", "BackOff");
}

/// Asserts that a recording plugin received this text, which is not a secret.
fn holds(finished: &Finished, wanted: &str, text: &str) {
    let found = received(finished)
        .into_iter()
        .any(|(what, bytes)| what == wanted && String::from_utf8_lossy(&bytes).contains(text));
    assert!(found, "no {text} in {wanted}\n{}", finished.output());
}

#[test]
fn no_target_and_no_builder_receives_a_secret() {
    let world = World::new();
    world.give_steps_to("recording-steps", &["build"]);
    let target = "\n[targets.lab]\nplugin = \"checks/recording-steps.wasm\"\noptions = { context = \"docker-desktop\" }\n";
    world.project.append("todohost.toml", target);
    let line = "deploy --target lab --output json --secret secrets.databaseUrl=env:SHOP_DATABASE";
    let finished = world
        .host()
        .args(line.split(' '))
        .args(["--set", &format!("secrets.apiKey={API_KEY}")])
        .variable("SHOP_DATABASE", DATABASE)
        .run()
        .expect_code(0);
    world.assert_no_leak(&finished);
    assert_nothing_received(&finished);
    for (what, text) in [
        ("connect", "docker-desktop"),
        ("images", "shop-web:"),
        ("inputs", "shop-web"),
        ("build", "shop-web:latest"),
    ] {
        holds(&finished, what, text);
    }
}

#[test]
fn check_with_a_secret_grant_receives_only_that_secret() {
    let world = World::new();
    world.cluster.answer("shop-web", "/", 200, &format!("at {DATABASE} with {API_KEY}"));
    let file = world.add_component("trusted-check");
    world.project.append("todohost.toml", &format!("\n[checks.trusted]\nplugin = \"{file}\"\n"));
    let asked = world.run(&format!("plugin allow {file}")).expect_code(0);
    assert!(asked.output().contains("secrets.apiKey"), "{}", asked.output());
    world.add_allowed_check("recording-check", "");
    let finished = world.deploy().args(["--output", "json"]).run().expect_code(0);
    world.assert_no_leak(&finished);

    let holders = |secret: &str, plugins: &str| -> Vec<String> {
        let pieces = received_by(plugins, &finished).into_iter();
        let holding = pieces.filter(|(_, bytes)| leak::find(bytes, secret).is_some());
        holding.map(|(what, _)| what).collect()
    };
    // Only in the values; rendered objects have placeholders even for a granted secret.
    assert_eq!(holders(API_KEY, "recording-trusted"), ["values"], "{}", finished.output());
    assert_eq!(holders(CANARY, "recording-trusted"), Vec::<String>::new());
    for secret in [API_KEY, CANARY] {
        assert_eq!(holders(secret, "recording-check"), Vec::<String>::new());
    }
}
