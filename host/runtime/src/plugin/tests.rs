//! Tests with defective components, each built from a few lines of WebAssembly text.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;
use crate::capability::{CallEnvironment, NoSecrets};
use crate::grant::{GrantError, Granter};
use todohost_model::event::{Bus, Event, EventKind};
use todohost_model::exit::Exit;

/// Possible imports of a test component, as core functions.
const IMPORTS: [(&str, &str); 5] = [
    (
        "log",
        r#"(import "todohost:plugin/log@VERSION" "write" (func $log (param i32 i32 i32 i32 i32)))"#,
    ),
    (
        "workspace",
        r#"(import "todohost:plugin/workspace@VERSION" "read" (func $read (param i32 i32 i32)))"#,
    ),
    (
        "process",
        r#"(import "todohost:plugin/process@VERSION" "version" (func $version (param i32 i32 i32)))"#,
    ),
    (
        "http-probe",
        r#"(import "todohost:plugin/http-probe@VERSION" "get"
            (func $get (param i32 i32 i32 i32 i32 i32 i32)))"#,
    ),
    ("env", r#"(import "todohost:plugin/env@VERSION" "random" (func $random (param i32 i32)))"#),
];

/// A check with `body` as its function `run`. An empty body returns no findings.
fn check(body: &str, imports: &[&str], version: &str) -> Vec<u8> {
    let functions = format!(
        r#"(func (export "todohost:plugin/check@VERSION#checks") (result i32) (i32.const 16))
           (func $run (export "todohost:plugin/check@VERSION#run")
                (param i32 i32 i32 i32 i32 i32) (result i32)
                {body}
                (i32.const 32))"#
    );
    component("check", &functions, imports, version)
}

/// A component of one role with these functions. Memory begins with zeros, which mean success.
fn component(role: &str, functions: &str, imports: &[&str], version: &str) -> Vec<u8> {
    let lines: String =
        IMPORTS.iter().filter(|(name, _)| imports.contains(name)).map(|(_, line)| *line).collect();
    let text = format!(
        r#"(module {lines}
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 4096))
            (global $calls (mut i32) (i32.const 0))
            (data (i32.const 256) "panicked at 'boom'\1b[2J")
            (data (i32.const 512) "private/key")
            (data (i32.const 528) "chart/Chart.yaml")
            (data (i32.const 560) "../outside")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get 3))))
            {functions})"#
    )
    .replace("VERSION", version);
    let mut module = wat::parse_str(&text).unwrap();
    let mut resolve = Resolve::default();
    let directory = Path::new("../../wit");
    let mut package = String::new();
    let header = "package todohost:plugin@0.0.1;";
    for file in ["types", "host", "steps"] {
        package.push_str(
            &std::fs::read_to_string(directory.join(format!("{file}.wit")))
                .unwrap()
                .replace(header, ""),
        );
    }
    let imports: String = imports.iter().flat_map(|name| ["import ", *name, ";"]).collect();
    let package = format!(
        "package todohost:plugin@{version};\n{package}\nworld tested {{ {imports} export {role}; }}"
    );
    let package = resolve.push_str("tested.wit", &package).unwrap();
    let world = resolve.select_world(&[package], Some("tested")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// Appends a custom section.
fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    fn number(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            bytes.push(if value == 0 { low } else { low | 0x80 });
            if value == 0 {
                return bytes;
            }
        }
    }
    let mut content = number(name.len());
    content.extend(name.as_bytes());
    content.extend(data);
    component.push(0);
    component.extend(number(content.len()));
    component.extend(content);
    component
}

/// A user's machine with a project in it.
struct Laptop {
    directory: TempDir,
    bus: Bus,
    events: UnboundedReceiver<Event>,
}

impl Laptop {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in
            [("project/chart/Chart.yaml", "name: x"), ("project/private/key", "k")]
        {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let (bus, events) = Bus::new();
        Self { directory, bus, events }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn registry(&self) -> Registry {
        Registry::open(RegistryOptions {
            core: &[],
            core_dir: None,
            project_root: self.path("project"),
            cache_dir: self.path("cache"),
        })
        .unwrap()
    }

    fn write(&self, component: &[u8]) {
        std::fs::write(self.path("project/tested.wasm"), component).unwrap();
    }

    /// Puts a component with a manifest into the project.
    fn install(&self, component: Vec<u8>, requests: &str) -> Result<PluginInfo, PluginError> {
        let manifest = format!("id = \"tested\"\nversion = \"1.2.3\"\n[requests]\n{requests}");
        self.write(&with_section(component, manifest::SECTION, manifest.as_bytes()));
        self.registry().resolve("./tested.wasm")
    }

    fn runtime(&self) -> Runtime {
        Runtime::new(&RuntimeOptions {
            cache_dir: self.path("cache"),
            config_dir: self.path("config"),
            memory: Some(16 * 1024 * 1024),
        })
        .unwrap()
    }

    fn context(&self, deadline: Duration) -> CallContext {
        CallContext {
            bus: self.bus.clone(),
            cancel: CancellationToken::new(),
            deadline,
            environment: Arc::new(CallEnvironment {
                project_root: self.path("project"),
                chart: Some("chart".to_owned()),
                namespace: "app".to_owned(),
                home: Some(self.path("home")),
                kubeconfig: Vec::new(),
                variables: std::collections::BTreeMap::new(),
                cluster: None,
                relay: None,
                vault: Arc::new(NoSecrets),
                secret: None,
            }),
            seed: EnvironmentSeed { now: 7, random: [1; 32] },
        }
    }

    /// Runs a check that needs no grant of the user.
    async fn run(
        &self,
        body: &str,
        imports: &[&str],
        deadline: Duration,
    ) -> Result<Vec<wit::Finding>, PluginError> {
        let info = self.install(check(body, imports, wit::API_VERSION), "").unwrap();
        let plugin = self.runtime().load(&info).unwrap();
        run(&plugin, self.context(deadline)).await
    }

    fn drain(&mut self) -> Vec<EventKind> {
        std::iter::from_fn(|| self.events.try_recv().ok()).map(|event| event.kind).collect()
    }
}

async fn run(plugin: &Arc<Plugin>, context: CallContext) -> Result<Vec<wit::Finding>, PluginError> {
    plugin.check(context).unwrap().run("x".to_owned(), "{}".to_owned(), "{}".to_owned()).await
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_check_without_findings_succeeds() {
    let mut laptop = Laptop::new();
    assert_eq!(laptop.run("", &[], LONG).await.unwrap(), []);
    let called = laptop.drain().into_iter().any(|event| {
        matches!(event, EventKind::PluginCall { export, ok: true, .. } if export == "check.run")
    });
    assert!(called);
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline() {
    let laptop = Laptop::new();
    let began = Instant::now();
    let error = laptop.run("(loop $l (br $l))", &[], Duration::from_millis(200)).await.unwrap_err();
    assert!(
        matches!(&error, PluginError::Misbehaved { fault: PluginFault::Deadline { .. }, .. }),
        "{error}"
    );
    assert_eq!(error.exit(), Exit::Plugin);
    assert!(began.elapsed() < Duration::from_secs(30), "took {:?}", began.elapsed());
}

#[tokio::test]
async fn ctrl_c_ends_an_endless_loop() {
    let laptop = Laptop::new();
    let info = laptop.install(check("(loop $l (br $l))", &[], wit::API_VERSION), "").unwrap();
    let plugin = laptop.runtime().load(&info).unwrap();
    plugin.warm(&laptop.bus).await.unwrap();
    let context = laptop.context(LONG);
    let cancel = context.cancel.clone();
    let (result, ()) = tokio::join!(run(&plugin, context), async {
        tokio::task::yield_now().await;
        cancel.cancel();
    });
    let error = result.unwrap_err();
    assert!(matches!(&error, PluginError::Cancelled { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Cancelled);
}

#[tokio::test]
async fn memory_exhaustion_is_reported_as_memory_limit_and_not_as_crash() {
    let laptop = Laptop::new();
    let body =
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (unreachable)";
    let error = laptop.run(body, &[], LONG).await.unwrap_err();
    let PluginError::Misbehaved { fault: PluginFault::Memory { limit, .. }, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*limit, 16 * 1024 * 1024);
    assert!(error.to_string().contains("its limit of 16 MiB"), "{error}");
}

#[tokio::test]
async fn a_crash_is_reported_as_defect_of_the_plugin_with_its_last_log_lines() {
    let laptop = Laptop::new();
    let body = "(call $log (i32.const 4) (i32.const 256) (i32.const 22) (i32.const 0) (i32.const 0)) (unreachable)";
    let error = laptop.run(body, &["log"], LONG).await.unwrap_err();
    let PluginError::Misbehaved { plugin, version, export, fault: PluginFault::Trap { .. }, crash } =
        &error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (plugin.as_str(), version.as_str(), export.as_str()),
        ("tested", "1.2.3", "check.run")
    );
    assert_eq!(crash.log, ["panicked at 'boom'\\u{1b}[2J"]);
    assert!(crash.backtrace.iter().any(|line| line.contains("run")), "{crash:?}");
    assert_eq!(error.exit(), Exit::Plugin);
}

#[tokio::test]
async fn each_call_of_a_check_has_a_new_instance() {
    let laptop = Laptop::new();
    let body = "(if (global.get $calls) (then (unreachable))) (global.set $calls (i32.const 1))";
    let info = laptop.install(check(body, &[], wit::API_VERSION), "").unwrap();
    let plugin = laptop.runtime().load(&info).unwrap();
    let mut handle = plugin.check(laptop.context(LONG)).unwrap();
    for _ in 0..3 {
        handle.run("x".to_owned(), "{}".to_owned(), "{}".to_owned()).await.unwrap();
    }
    assert_eq!(handle.checks().await.unwrap(), []);
}

#[tokio::test]
async fn randomness_depends_on_the_seed() {
    let laptop = Laptop::new();
    // Traps unless the first byte is that of the seed's stream.
    let mut expected = [0; 4];
    let mut stream =
        <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::from_seed([1; 32]);
    rand_chacha::rand_core::RngCore::fill_bytes(&mut stream, &mut expected);
    let body = format!(
        "(call $random (i32.const 4) (i32.const 64))
         (if (i32.ne (i32.load (i32.load (i32.const 64))) (i32.const {})) (then (unreachable)))",
        i32::from_le_bytes(expected)
    );
    assert_eq!(laptop.run(&body, &["env"], LONG).await.unwrap(), []);
}

#[tokio::test]
async fn a_plugin_runs_only_after_consent() {
    let laptop = Laptop::new();
    let component = check("", &["workspace"], wit::API_VERSION);
    // The component has the import only if it is called.
    let used = check(
        "(call $read (i32.const 528) (i32.const 16) (i32.const 64))",
        &["workspace"],
        wit::API_VERSION,
    );
    assert!(laptop.install(component, "").unwrap().imports.len() <= 1);
    let info = laptop.install(used, "workspace-read = [\"$chart/**\"]").unwrap();
    assert!(info.imports.contains(&Capability::Workspace));
    let error = laptop.runtime().load(&info).map(drop).unwrap_err();
    let PluginError::Grant(GrantError::Missing { missing, .. }) = &error else { panic!("{error}") };
    assert_eq!(missing, &["workspace-read = [\"$chart/**\"]"]);
    let help = error.failure().help.unwrap();
    assert!(help.contains("todohost plugin allow") && help.contains("tested.wasm"), "{help}");
    assert_eq!(error.exit(), Exit::Plugin);

    let mut granter = Granter::open(&laptop.path("config")).unwrap();
    granter.allow(&info).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(granter.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let plugin = laptop.runtime().load(&info).unwrap();
    run(&plugin, laptop.context(LONG)).await.unwrap();

    // Consent to one digest does not apply to another.
    let other = check(
        "(drop (i32.const 1)) (call $read (i32.const 528) (i32.const 16) (i32.const 64))",
        &["workspace"],
        wit::API_VERSION,
    );
    let info = laptop.install(other, "workspace-read = [\"$chart/**\"]").unwrap();
    assert!(laptop.runtime().load(&info).is_err());
}

#[tokio::test]
async fn paths_beyond_the_grant_are_denied() {
    for (at, length, granted) in [(528, 16, Some(true)), (512, 11, Some(false)), (560, 10, None)] {
        let mut laptop = Laptop::new();
        // Traps if the answer is not the expected one: 0 is success.
        let wrong = if granted == Some(true) { "" } else { "(i32.eqz" };
        let end = if granted == Some(true) { "" } else { ")" };
        let body = format!(
            "(call $read (i32.const {at}) (i32.const {length}) (i32.const 64))
             (if {wrong} (i32.load8_u (i32.const 64)) {end} (then (unreachable)))"
        );
        let info = laptop
            .install(
                check(&body, &["workspace"], wit::API_VERSION),
                "workspace-read = [\"$chart/**\"]",
            )
            .unwrap();
        Granter::open(&laptop.path("config")).unwrap().allow(&info).unwrap();
        let plugin = laptop.runtime().load(&info).unwrap();
        run(&plugin, laptop.context(LONG)).await.unwrap();
        let seen = laptop.drain().into_iter().find_map(|event| match event {
            EventKind::HostCall { function, granted, .. } if function == "workspace.read" => {
                Some(granted)
            }
            _ => None,
        });
        assert_eq!(seen, granted);
    }
}

#[test]
fn a_check_never_runs_programs_even_if_it_requests_them() {
    let laptop = Laptop::new();
    let body = "(call $version (i32.const 512) (i32.const 2) (i32.const 64))";
    let request = "[[requests.process-exec]]\nprogram = \"docker\"";
    let info = laptop.install(check(body, &["process"], wit::API_VERSION), request).unwrap();
    Granter::open(&laptop.path("config")).unwrap().allow(&info).unwrap();
    let error = laptop.runtime().load(&info).map(drop).unwrap_err();
    assert!(matches!(&error, PluginError::Grant(GrantError::Role { .. })), "{error}");
}

#[test]
fn imports_must_be_requested() {
    let laptop = Laptop::new();
    let body = "(call $read (i32.const 528) (i32.const 16) (i32.const 64))";
    let info = laptop.install(check(body, &["workspace"], wit::API_VERSION), "").unwrap();
    let error = laptop.runtime().load(&info).map(drop).unwrap_err();
    assert!(matches!(&error, PluginError::Grant(GrantError::NotRequested { .. })), "{error}");
}

#[test]
fn a_plugin_for_another_contract_is_refused() {
    let laptop = Laptop::new();
    let error = laptop.install(check("", &[], "0.0.2"), "").unwrap_err();
    assert!(matches!(&error, PluginError::ApiVersion { found, .. } if found == "0.0.2"), "{error}");
}

#[test]
fn a_file_that_is_not_a_plugin_is_refused() {
    let laptop = Laptop::new();
    let registry = laptop.registry();
    for (bytes, reason) in [
        (wat::parse_str("(module)").unwrap(), "core module"),
        (b"not wasm at all".to_vec(), "not a plugin"),
        (Vec::new(), "not a plugin"),
    ] {
        laptop.write(&bytes);
        let error = registry.resolve("./tested.wasm").unwrap_err();
        assert!(matches!(&error, PluginError::NotAComponent { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    laptop.write(&check("", &[], wit::API_VERSION));
    let error = registry.resolve("./tested.wasm").unwrap_err();
    assert!(
        matches!(&error, PluginError::Manifest { source: manifest::ManifestError::Missing, .. }),
        "{error}"
    );
    let error = registry.resolve("nowhere").unwrap_err();
    assert!(matches!(&error, PluginError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_changed_after_its_grant_does_not_run() {
    let laptop = Laptop::new();
    let info = laptop.install(check("", &[], wit::API_VERSION), "").unwrap();
    let plugin = laptop.runtime().load(&info).unwrap();
    laptop.install(check("(drop (i32.const 2))", &[], wit::API_VERSION), "").unwrap();
    let error = plugin.warm(&laptop.bus).await.unwrap_err();
    assert!(matches!(&error, PluginError::Changed { .. }), "{error}");
}

#[test]
fn the_index_detects_a_changed_file() {
    let laptop = Laptop::new();
    let first = laptop.install(check("", &[], wit::API_VERSION), "").unwrap();
    assert!(laptop.path("cache/plugins.json").exists());
    assert_eq!(laptop.registry().resolve("./tested.wasm").unwrap(), first);
    let second = laptop.install(check("(drop (i32.const 2))", &[], wit::API_VERSION), "").unwrap();
    assert_ne!(first.digest, second.digest);
}

#[tokio::test]
async fn a_role_that_is_not_exported_is_refused() {
    let laptop = Laptop::new();
    let info = laptop.install(check("", &[], wit::API_VERSION), "").unwrap();
    assert_eq!(info.roles.iter().copied().collect::<Vec<_>>(), [Role::Check]);
    let plugin = laptop.runtime().load(&info).unwrap();
    let error = plugin.render(laptop.context(LONG)).map(drop).unwrap_err();
    assert!(matches!(&error, PluginError::NoSuchRole { role: Role::Render, .. }), "{error}");
}

/// Answers each connection with the same bytes.
async fn serve(answer: String) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn a_redirect_is_checked_like_the_first_address() {
    const OK: u8 = 255;
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let inner = serve(body.to_owned()).await;
    let outer = serve(format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{inner}/x\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    let both = format!("http-allow = [\"127.0.0.1:{outer}\", \"127.0.0.1:{inner}\"]");
    let first = format!("http-allow = [\"127.0.0.1:{outer}\"]");
    let cases = [
        (&both, "/", 100, OK),
        (&both, "/", 4, wit::ErrorKind::Unavailable as u8),
        (&first, "/", 100, wit::ErrorKind::Denied as u8),
    ];
    for (grant, path, limit, expected) in cases {
        // The check's id is the address. Traps if the answer is not the expected one.
        let body = format!(
            "(call $get (local.get 0) (local.get 1) (i32.const 0) (i32.const 0)
                (i32.const 10000) (i32.const {limit}) (i32.const 64))
             (if (i32.ne (i32.const {expected})
                    (if (result i32) (i32.load8_u (i32.const 64))
                        (then (i32.load8_u (i32.const 68))) (else (i32.const 255))))
                (then (unreachable)))"
        );
        let laptop = Laptop::new();
        let component = check(&body, &["http-probe"], wit::API_VERSION);
        let info = laptop.install(component, grant).unwrap();
        Granter::open(&laptop.path("config")).unwrap().allow(&info).unwrap();
        let plugin = laptop.runtime().load(&info).unwrap();
        let address = format!("http://127.0.0.1:{outer}{path}");
        let mut handle = plugin.check(laptop.context(LONG)).unwrap();
        let result = handle.run(address, "{}".to_owned(), "{}".to_owned()).await;
        assert!(result.is_ok(), "with {grant} and {limit} bytes: {result:?}");
        assert!(handle.facts().used_network);
    }
}

#[tokio::test]
async fn an_instance_of_a_verifier_is_reused_until_it_crashes() {
    use wit::verify::Health::{Healthy, Progressing};
    // Returns the number of earlier calls as a verdict: 0 is healthy, 1 is progressing. The third call traps.
    let functions = r#"
        (func (export "todohost:plugin/verify@VERSION#judge")
            (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            (if (i32.eq (global.get $calls) (i32.const 2)) (then (unreachable)))
            (i32.store8 (i32.const 36) (global.get $calls))
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.const 32))
        (func (export "todohost:plugin/verify@VERSION#probes")
            (param i32 i32 i32 i32) (result i32) (i32.const 64))
        (func (export "todohost:plugin/verify@VERSION#explain")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 64))"#;
    let laptop = Laptop::new();
    let info = laptop.install(component("verify", functions, &[], wit::API_VERSION), "").unwrap();
    let plugin = laptop.runtime().load(&info).unwrap();
    let mut handle = plugin.verify(laptop.context(LONG)).unwrap();
    let subject = || wit::verify::Subject {
        object: "{}".to_owned(),
        related: Vec::new(),
        events: Vec::new(),
    };
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(match handle.judge("{}".to_owned(), subject()).await {
            Ok(verdict) => Some(verdict.health),
            Err(PluginError::Misbehaved { .. }) => None,
            Err(error) => panic!("{error}"),
        });
    }
    assert_eq!(seen, [Some(Healthy), Some(Progressing), None, Some(Healthy)]);
}
