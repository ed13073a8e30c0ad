//! The costs of components: the first compilation, loading from the cache, and an instance with one call.
//!
//! Run by `make bench`; prints milliseconds and never fails on a figure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use todohost_model::event::Bus;
use todohost_runtime::capability::{CallEnvironment, NoSecrets};
use todohost_runtime::plugin::wit::{apply, build, render, verify};
use todohost_runtime::plugin::{
    CallContext, EnvironmentSeed, Plugin, PluginError, PluginInfo, Registry, RegistryOptions, Role,
    Runtime, RuntimeOptions,
};
use tokio_util::sync::CancellationToken;

/// Instances that are made and called, one after the other.
const CALLS: u32 = 20;

type Failure = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "a bench prints figures")]
#[expect(clippy::disallowed_methods, reason = "a bench has no environment module")]
fn main() -> Result<(), Failure> {
    let core = std::env::var_os("TODOHOST_PLUGINS").map(PathBuf::from);
    let core = core.ok_or("set TODOHOST_PLUGINS to the folder of the core plugins")?;
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!(
        "{:20} {:>9} {:>9} {:>9} {:>9}",
        "milliseconds", "size (kB)", "compile", "load", "call"
    );
    let scratch = tempfile::tempdir()?;
    write_chart(scratch.path())?;
    let registry = Registry::open(RegistryOptions {
        core: &[],
        core_dir: Some(core),
        project_root: scratch.path().to_owned(),
        cache_dir: scratch.path().join("registry"),
    })?;
    for mut info in registry.list() {
        // Measured with everything that it requests.
        info.core = true;
        let cache = scratch.path().join(&info.id);
        let (compile, _) = threads.block_on(prepared(&cache, &info))?;
        let (load, plugin) = threads.block_on(prepared(&cache, &info))?;
        let call = threads.block_on(called(&plugin, scratch.path()))?;
        println!(
            "{:20} {:>9} {:>9.1} {:>9.1} {:>9.2}",
            info.id,
            std::fs::metadata(&info.path)?.len() / 1000,
            compile.as_secs_f64() * 1000.0,
            load.as_secs_f64() * 1000.0,
            call.as_secs_f64() * 1000.0
        );
    }
    Ok(())
}

/// Prepares a component for instantiation, with its own engine as in a new process.
async fn prepared(cache: &Path, info: &PluginInfo) -> Result<(Duration, Arc<Plugin>), PluginError> {
    let runtime = Runtime::new(&RuntimeOptions {
        cache_dir: cache.to_owned(),
        config_dir: cache.join("configuration"),
        memory: None,
    })?;
    let (bus, _events) = Bus::new();
    let began = Instant::now();
    let plugin = runtime.load(info)?;
    plugin.warm(&bus).await?;
    Ok((began.elapsed(), plugin))
}

/// Average time of a new instance and its cheapest call. The answer does not matter: a component that lacks its inputs
/// here (a chart, an engine) refuses, and the refusal takes the same path.
async fn called(plugin: &Arc<Plugin>, project: &Path) -> Result<Duration, PluginError> {
    let began = Instant::now();
    for _ in 0..CALLS {
        if let Err(error) = call(plugin, context(project)).await
            && !matches!(error, PluginError::Answered { .. })
        {
            return Err(error);
        }
    }
    Ok(began.elapsed() / CALLS)
}

async fn call(plugin: &Arc<Plugin>, context: CallContext) -> Result<(), PluginError> {
    let nothing = || "{}".to_owned();
    match plugin.info().roles.first() {
        Some(Role::Target) => plugin.target(context)?.images_via(nothing()).await.map(drop),
        Some(Role::Build) => plugin.build(context)?.inputs(nothing(), image()).await.map(drop),
        Some(Role::Render) => plugin.render(context)?.render(chart()).await.map(drop),
        Some(Role::Apply) => plugin.apply(context)?.plan(objects()).await.map(drop),
        Some(Role::Verify) => plugin.verify(context)?.judge(nothing(), object()).await.map(drop),
        Some(Role::Check) => plugin.check(context)?.checks().await.map(drop),
        None => Ok(()),
    }
}

fn context(project: &Path) -> CallContext {
    let (bus, _events) = Bus::new();
    CallContext {
        bus,
        cancel: CancellationToken::new(),
        deadline: Duration::from_secs(10),
        environment: Arc::new(CallEnvironment {
            project_root: project.to_owned(),
            chart: Some("chart".to_owned()),
            namespace: "bench".to_owned(),
            home: None,
            kubeconfig: Vec::new(),
            variables: BTreeMap::new(),
            cluster: None,
            relay: None,
            vault: Arc::new(NoSecrets),
            secret: None,
        }),
        seed: EnvironmentSeed { now: 0, random: [0; 32] },
    }
}

/// A chart of one object, in the project's folder `chart`.
fn write_chart(project: &Path) -> std::io::Result<()> {
    let templates = project.join("chart/templates");
    std::fs::create_dir_all(&templates)?;
    let about = "apiVersion: v2\nname: bench\nversion: 0.1.0\n";
    std::fs::write(project.join("chart/Chart.yaml"), about)?;
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";
    std::fs::write(templates.join("settings.yaml"), object)
}

fn chart() -> render::Request {
    render::Request {
        options: "{}".to_owned(),
        release: "bench".to_owned(),
        namespace: "bench".to_owned(),
        revision: 1,
        is_upgrade: false,
        source: "chart".to_owned(),
        values: render::Values {
            files: Vec::new(),
            set: Vec::new(),
            set_string: Vec::new(),
            set_json: Vec::new(),
            set_file: Vec::new(),
        },
        images: Vec::new(),
        kubernetes_version: String::new(),
        api_versions: Vec::new(),
    }
}

fn image() -> build::ImageSpec {
    build::ImageSpec {
        name: "bench".to_owned(),
        context: "chart".to_owned(),
        dockerfile: "Dockerfile".to_owned(),
        stage: None,
        platform: None,
        tags: Vec::new(),
        arguments: Vec::new(),
    }
}

fn objects() -> apply::Request {
    apply::Request {
        options: "{}".to_owned(),
        release: "bench".to_owned(),
        namespace: "bench".to_owned(),
        desired: vec![CONFIG_MAP.to_owned()],
        previous: Vec::new(),
        live: Vec::new(),
    }
}

fn object() -> verify::Subject {
    verify::Subject { object: CONFIG_MAP.to_owned(), related: Vec::new(), events: Vec::new() }
}

const CONFIG_MAP: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bench","namespace":"bench"}}"#;
