//! Builds the core plugins as components, and writes `core.json`, the host's list of core components.

use crate::component::{self, ComponentError};
use crate::dep_info;
use crate::digest::{self, Digest};
use crate::engine::{Engine, EngineError};
use crate::manifest::{Manifest, ManifestError};
use crate::workspace::{Workspace, WorkspaceError};
use miette::Diagnostic;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};
use thiserror::Error;

/// Errors of building plugins.
#[derive(Debug, Error, Diagnostic)]
pub enum PluginsError {
    /// The plugin of `--only` does not exist.
    #[error("unknown plugin {0:?}")]
    #[diagnostic(code(xtask::plugins::unknown), help("expected one of: {1}"))]
    Unknown(String, String),
    /// The build of the crates failed.
    #[error("cannot build the crates of the plugins")]
    #[diagnostic(
        code(xtask::plugins::cargo),
        help(
            "read the output of cargo above; if the target is missing, run `rustup target add wasm32-unknown-unknown`"
        )
    )]
    Cargo,
    /// A file cannot be read or written.
    #[error(transparent)]
    #[diagnostic(code(xtask::plugins::file))]
    File(#[from] std::io::Error),
    /// The workspace cannot be found.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A manifest cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Manifest(#[from] ManifestError),
    /// A module cannot become a component.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Component(#[from] ComponentError),
    /// An engine cannot be built.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Engine(#[from] EngineError),
}

/// Content of `core.json`.
#[derive(Serialize)]
struct Core {
    plugins: Vec<CorePlugin>,
}

#[derive(Serialize)]
struct CorePlugin {
    id: String,
    version: String,
    file: String,
    sha256: String,
}

/// Builds all plugins, or only the one with this id.
pub fn build(only: Option<&str>) -> Result<(), PluginsError> {
    let (started, began) = (Instant::now(), SystemTime::now());
    let workspace = Workspace::find()?;
    // A change of this program or of its libraries may change the component that it makes of a module.
    let mut builder = Digest::new();
    for path in workspace.builder() {
        builder.add_path("builder", &path)?;
    }
    let builder = builder.finish();
    let all = find(&workspace.plugins())?;
    let wanted: Vec<_> =
        all.iter().filter(|(_, manifest)| only.is_none_or(|id| id == manifest.id)).collect();
    if let (Some(id), true) = (only, wanted.is_empty()) {
        let ids: Vec<_> = all.iter().map(|(_, manifest)| manifest.id.as_str()).collect();
        return Err(PluginsError::Unknown(id.to_owned(), ids.join(", ")));
    }
    compile(&workspace, wanted.iter().map(|(_, manifest)| manifest))?;

    let out = workspace.components();
    fs_err::create_dir_all(&out)?;
    let mut built = 0;
    for (directory, manifest) in &wanted {
        built += usize::from(make(&workspace, &builder, directory, manifest)?);
    }
    remove_others(&out, &all)?;
    write_list(&out, &all)?;
    if only.is_none() {
        let target = out.join("core.json");
        dep_info::write(&target.with_extension("d"), &target, &inputs(&workspace, &all)?, began)?;
    }
    println!(
        "{} plugins in {}: {built} built, {} unchanged ({:.1} s)",
        wanted.len(),
        out.display(),
        wanted.len() - built,
        started.elapsed().as_secs_f32()
    );
    Ok(())
}

/// Finds the directories with a `plugin.toml`, sorted by id. Plugins are in groups: `plugins/GROUP/NAME`.
fn find(plugins: &Path) -> Result<Vec<(PathBuf, Manifest)>, PluginsError> {
    let mut found = Vec::new();
    for group in fs_err::read_dir(plugins)? {
        let group = group?.path();
        if !group.is_dir() {
            continue;
        }
        for entry in fs_err::read_dir(group)? {
            let directory = entry?.path();
            if let Some(manifest) = Manifest::read(&directory)? {
                found.push((directory, manifest));
            }
        }
    }
    found.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
    Ok(found)
}

/// Compiles all crates with one run of cargo.
fn compile<'a>(
    workspace: &Workspace,
    manifests: impl Iterator<Item = &'a Manifest>,
) -> Result<(), PluginsError> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--target", "wasm32-unknown-unknown"])
        .current_dir(workspace.root());
    let mut any = false;
    for manifest in manifests {
        cargo.arg("-p").arg(format!("todohost-{}", manifest.id));
        any = true;
    }
    if any && !cargo.status()?.success() {
        return Err(PluginsError::Cargo);
    }
    Ok(())
}

/// Builds the component unless its inputs are unchanged. Returns whether it was built.
fn make(
    workspace: &Workspace,
    builder: &str,
    directory: &Path,
    manifest: &Manifest,
) -> Result<bool, PluginsError> {
    let started = Instant::now();
    let module = fs_err::read(workspace.module(&manifest.id))?;
    let engine = Engine::find(directory)?;
    let mut inputs = Digest::new();
    inputs.add("builder", builder.as_bytes()).add("module", &module);
    if let Some(engine) = &engine {
        inputs.add("engine", engine.digest().as_bytes());
        inputs.add_path("wit", &workspace.wit())?;
    }
    let inputs = inputs.finish();
    let file = workspace.components().join(file_name(&manifest.id));
    let stamp = file.with_extension("inputs");
    if file.exists() && fs_err::read_to_string(&stamp).is_ok_and(|last| last == inputs) {
        return Ok(false);
    }
    let mut component = component::encode(&manifest.id, &module)?;
    if let Some(engine) = engine {
        component = engine.compose(component, workspace)?;
    }
    // The stamp is written last, because a component without a stamp is built again.
    match fs_err::remove_file(&stamp) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs_err::write(&file, &component)?;
    fs_err::write(&stamp, inputs)?;
    println!(
        "  {} {} ({} KiB, {:.1} s)",
        manifest.id,
        manifest.version,
        component.len() / 1024,
        started.elapsed().as_secs_f32()
    );
    Ok(true)
}

/// Every source file of the components.
fn inputs(
    workspace: &Workspace,
    all: &[(PathBuf, Manifest)],
) -> Result<Vec<PathBuf>, PluginsError> {
    let mut files = Vec::new();
    for path in workspace.builder() {
        dep_info::files_of(&path, &mut files)?;
    }
    for (directory, manifest) in all {
        files.extend(dep_info::read(&workspace.module(&manifest.id).with_extension("d"))?);
        if let Some(engine) = Engine::find(directory)? {
            for path in engine.inputs() {
                dep_info::files_of(path, &mut files)?;
            }
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// Removes the components of plugins that are not in the workspace. The directory survives checkouts of other commits,
/// and the host lists every component in it.
fn remove_others(out: &Path, all: &[(PathBuf, Manifest)]) -> Result<(), PluginsError> {
    for entry in fs_err::read_dir(out)? {
        let file = entry?.path();
        let is_component = file.extension().is_some_and(|kind| kind == "wasm" || kind == "inputs");
        let is_ours = |id: &str| all.iter().any(|(_, manifest)| manifest.id == id);
        if is_component && !file.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_ours) {
            fs_err::remove_file(&file)?;
        }
    }
    Ok(())
}

/// Writes `core.json` with the existing components. A component outside this list is not a core plugin, even if it has
/// the name of one.
fn write_list(out: &Path, all: &[(PathBuf, Manifest)]) -> Result<(), PluginsError> {
    let mut core = Core { plugins: Vec::new() };
    for (_, manifest) in all {
        let file = file_name(&manifest.id);
        let path = out.join(&file);
        if path.exists() {
            core.plugins.push(CorePlugin {
                id: manifest.id.clone(),
                version: manifest.version.clone(),
                file,
                sha256: digest::sha256(&fs_err::read(path)?),
            });
        }
    }
    let mut text = serde_json::to_string_pretty(&core).map_err(std::io::Error::from)?;
    text.push('\n');
    let list = out.join("core.json");
    // Written only if it changed, because a new time stamp rebuilds the host.
    if fs_err::read_to_string(&list).is_ok_and(|last| last == text) {
        return Ok(());
    }
    Ok(fs_err::write(list, text)?)
}

fn file_name(id: &str) -> String {
    format!("{id}.wasm")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn component_of_another_checkout_is_removed() {
        let manifest: Manifest =
            toml::from_str("id = \"health\"\nversion = \"0.1.0\"\nroles = [\"verify\"]\n").unwrap();
        let out = std::env::current_exe().unwrap().with_file_name("left-components-test");
        fs_err::create_dir_all(&out).unwrap();
        for file in ["core.json", "health.inputs", "health.wasm", "other.inputs", "other.wasm"] {
            fs_err::write(out.join(file), "").unwrap();
        }
        remove_others(&out, &[(PathBuf::new(), manifest)]).unwrap();
        let mut left: Vec<_> = fs_err::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["core.json", "health.inputs", "health.wasm"]);
    }
}
