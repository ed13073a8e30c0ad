//! Runs the built component with a directory as the project, a list of objects as the cluster, and a fixed clock and
//! random source.

#[path = "../../../../../tests/src/fresh.rs"]
mod fresh;

use fs_err as fs;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use wasmtime::component::{Component, HasSelf, Linker, Resource};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};

wasmtime::component::bindgen!({
    path: "../../../wit",
    world: "render-plugin",
    with: { "todohost:plugin/log.progress": Progress },
});

pub use exports::todohost::plugin::render::{Rendered, Request, Values, ValuesFile};
use todohost::plugin::cluster_read::Query;
pub use todohost::plugin::types::Error;
use todohost::plugin::types::{self, ErrorKind, Label, ObjectRef};
use todohost::plugin::{cluster_read, env, log, workspace};

/// A progress line; the renderer shows none.
pub struct Progress;

/// The directory with the components that `cargo xtask plugins` builds.
pub fn components() -> PathBuf {
    // target/release/deps/TEST
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(3).expect("tests lie in the target directory").join("plugins")
}

/// The cache that the build uses.
pub fn cache() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests have no environment module")]
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .expect("HOME is set")
        .join("todohost")
}

/// The component, compiled once.
pub struct Renderer {
    engine: Engine,
    component: RenderPluginPre<World>,
    /// The component's imports and exports.
    pub interfaces: Vec<String>,
}

impl Renderer {
    pub fn load() -> Self {
        let path = components().join("helm.wasm");
        let list = components().join("core.d");
        let workspace = std::env::current_dir().expect("tests have a working directory");
        let workspace = workspace.ancestors().nth(3).expect("a package is in the workspace");
        #[expect(clippy::disallowed_methods, reason = "tests have no environment module")]
        let is_built = std::env::var_os(fresh::BUILT).is_some();
        if let Some(reason) = fresh::stale(&list, &list, workspace).filter(|_| !is_built) {
            panic!("{} is stale: {reason}; type: make build", path.display());
        }
        let mut compiled = CacheConfig::new();
        compiled.with_directory(cache().join("test-components"));
        let mut config = Config::new();
        config.cache(Some(Cache::new(compiled).expect("the cache can be used")));
        let engine = Engine::new(&config).expect("this machine can run components");
        let component = Component::from_file(&engine, &path).expect("a component");
        let kind = component.component_type();
        let interfaces = kind
            .imports(&engine)
            .map(|(name, _)| format!("import {name}"))
            .chain(kind.exports(&engine).map(|(name, _)| format!("export {name}")))
            .collect();
        let mut linker = Linker::new(&engine);
        RenderPlugin::add_to_linker::<_, HasSelf<World>>(&mut linker, |world| world)
            .expect("one definition per import");
        let instance = linker.instantiate_pre(&component).expect("every import is known");
        let component = RenderPluginPre::new(instance).expect("it exports render");
        Self { engine, component, interfaces }
    }

    /// Renders in a new instance, like the host.
    pub fn render(&self, world: World, request: &Request) -> (Result<Rendered, Error>, World) {
        let mut store = Store::new(&self.engine, world);
        let plugin = self.component.instantiate(&mut store).expect("it instantiates");
        let result = plugin
            .todohost_plugin_render()
            .call_render(&mut store, request)
            .expect("it does not trap");
        (result, store.into_data())
    }
}

/// The request that corresponds to `helm template demo CHART -n prod`.
pub fn request(source: &str) -> Request {
    Request {
        options: "{}".into(),
        release: "demo".into(),
        namespace: "prod".into(),
        revision: 1,
        is_upgrade: false,
        source: source.into(),
        values: Values {
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

/// The world that the component sees.
#[derive(Default)]
pub struct World {
    /// The project.
    pub root: PathBuf,
    /// Answers to lookups, in order; later lookups find nothing.
    pub objects: VecDeque<String>,
    /// The lookups so far.
    pub lookups: Vec<String>,
    /// Number of random bytes that it has drawn.
    pub drawn: u64,
}

impl World {
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), ..Self::default() }
    }

    fn walk(&self, below: &Path, entries: &mut Vec<workspace::Entry>) {
        for entry in fs::read_dir(self.root.join(below)).expect("a directory") {
            let entry = entry.expect("an entry");
            let path = below.join(entry.file_name());
            let metadata = fs::metadata(entry.path()).expect("a file");
            entries.push(workspace::Entry {
                path: path.to_string_lossy().into_owned(),
                is_dir: metadata.is_dir(),
                size: metadata.len(),
            });
            if metadata.is_dir() {
                self.walk(&path, entries);
            }
        }
    }
}

fn refused() -> Error {
    Error {
        kind: ErrorKind::Denied,
        code: "test.denied".into(),
        message: "the test world does not support this".into(),
        causes: Vec::new(),
        help: None,
    }
}

impl types::Host for World {}

impl env::Host for World {
    fn now(&mut self) -> u64 {
        1_700_000_000_000_000_000
    }
    fn monotonic(&mut self) -> u64 {
        1
    }
    fn random(&mut self, len: u32) -> Vec<u8> {
        (0..len)
            .map(|_| {
                self.drawn += 1;
                (self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
            })
            .collect()
    }
}

impl log::Host for World {
    #[expect(clippy::print_stderr, reason = "the log of the component is shown if a test fails")]
    fn write(&mut self, _level: log::Level, message: String, _fields: Vec<Label>) {
        eprintln!("{message}");
    }
}

impl log::HostProgress for World {
    fn new(&mut self, _title: String, _total: Option<u64>) -> Resource<Progress> {
        Resource::new_own(0)
    }
    fn advance(&mut self, _line: Resource<Progress>, _by: u64) {}
    fn message(&mut self, _line: Resource<Progress>, _text: String) {}
    fn is_cancelled(&mut self, _line: Resource<Progress>) -> bool {
        false
    }
    fn drop(&mut self, _line: Resource<Progress>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl workspace::Host for World {
    fn read(&mut self, path: String) -> Result<Vec<u8>, Error> {
        fs::read(self.root.join(path)).map_err(|_| refused())
    }
    fn glob(&mut self, pattern: String) -> Result<Vec<workspace::Entry>, Error> {
        let below = pattern.strip_suffix("/**").ok_or_else(refused)?;
        let mut entries = Vec::new();
        if self.root.join(below).is_dir() {
            self.walk(Path::new(below), &mut entries);
        }
        Ok(entries)
    }
    fn digest(&mut self, _paths: Vec<String>, _ignore: Vec<String>) -> Result<String, Error> {
        Err(refused())
    }
    fn contexts(&mut self) -> Result<Vec<(String, String, String)>, Error> {
        Err(refused())
    }
}

impl cluster_read::Host for World {
    fn get(&mut self, object: ObjectRef) -> Result<Option<String>, Error> {
        self.lookups.push(format!(
            "{} {} {} {}",
            object.api_version,
            object.kind,
            object.namespace.unwrap_or_default(),
            object.name
        ));
        if object.kind == "Refused" {
            return Err(refused());
        }
        Ok(self.objects.pop_front())
    }
    fn list(&mut self, query: Query) -> Result<Vec<String>, Error> {
        self.lookups.push(format!(
            "{} {} {}",
            query.api_version,
            query.kind,
            query.namespace.unwrap_or_default()
        ));
        Ok(self.objects.drain(..).collect())
    }
    fn logs(
        &mut self,
        _pod: ObjectRef,
        _container: Option<String>,
        _previous: bool,
        _tail_lines: u32,
    ) -> Result<String, Error> {
        Err(refused())
    }
    fn http_get(
        &mut self,
        _object: ObjectRef,
        _port: u16,
        _path: String,
        _timeout_ms: u32,
    ) -> Result<(u16, Vec<u8>), Error> {
        Err(refused())
    }
    fn node_summary(&mut self, _node: String) -> Result<String, Error> {
        Err(refused())
    }
    fn can_i(
        &mut self,
        _verb: String,
        _api_version: String,
        _kind: String,
        _namespace: Option<String>,
    ) -> Result<bool, Error> {
        Err(refused())
    }
}
