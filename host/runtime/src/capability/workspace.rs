//! Files of the project and named files of the user, read-only.
//!
//! A path is normalised, checked against the grant and resolved. The resolved path is checked again, so that a symlink
//! cannot open a file that was not granted.

mod tree;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use wasmtime::Result as EngineResult;

use super::Capability;
use super::host_call::HostCall;
use crate::grant::Scope;
use crate::plugin::State;
use crate::plugin::wit::imports::workspace::{self, Entry};
use crate::plugin::wit::{Error, ErrorKind};
use todohost_model::digest::{IgnorePatterns, digest_tree};

const WAIT: Duration = Duration::from_mins(2);
const MAX_FILE: u64 = 64 * 1024 * 1024;
const MAX_PATH: usize = 4096;

fn host_call(function: &'static str, detail: String) -> HostCall {
    HostCall { capability: Capability::Workspace, function, detail, deadline: WAIT }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "todohost.workspace.bad-path", message)
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    let (kind, code) = match error.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "todohost.workspace.not-found"),
        _ => (ErrorKind::Unavailable, "todohost.workspace.unreadable"),
    };
    Error::new(kind, code, format!("cannot read {name}")).caused_by(error)
}

/// A relative path with `/` and without `.`; `""` is the directory itself.
pub(super) fn normalise(path: &str) -> Result<String, Error> {
    if path.len() > MAX_PATH || path.contains('\\') || path.chars().any(char::is_control) {
        return Err(invalid(format!("{path:?} is not a path with `/`")));
    }
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(invalid(format!("{path:?} leads out of the project")));
            }
        }
    }
    Ok(parts.join("/"))
}

/// Resolves a normalised path, following symlinks.
///
/// # Errors
/// If the path does not exist or resolves to a file outside of the root.
pub(super) fn resolve(root: &Path, path: &str) -> Result<PathBuf, Error> {
    let root = fs::canonicalize(root).map_err(|error| unreadable("the project", &error))?;
    let real = fs::canonicalize(root.join(path)).map_err(|error| unreadable(path, &error))?;
    if real.starts_with(&root) {
        return Ok(real);
    }
    let message = format!("{path} is a link that leads out of the project");
    Err(Error::new(ErrorKind::Denied, "todohost.workspace.escape", message))
}

/// The path of `real` relative to a resolved root, with `/`; `None` if it is outside.
fn relative(root: &Path, real: &Path) -> Option<String> {
    let inside = real.strip_prefix(root).ok()?;
    let parts: Vec<_> =
        inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    Some(parts.join("/"))
}

fn read_bounded(path: &Path, shown: &str) -> Result<Vec<u8>, Error> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(shown, &error))?;
    // Reading from a pipe or a device could block for ever.
    if !metadata.is_file() {
        return Err(invalid(format!("{shown} is not a file")));
    }
    if metadata.len() > MAX_FILE {
        let message = format!("{shown} has {} bytes, more than {MAX_FILE}", metadata.len());
        return Err(Error::new(ErrorKind::Unsupported, "todohost.workspace.too-big", message));
    }
    fs::read(path).map_err(|error| unreadable(shown, &error))
}

/// A normalised path below one of the two roots.
enum RootedPath {
    Project(String),
    Home(String),
}

impl RootedPath {
    fn of(path: &str) -> Result<Self, Error> {
        match path.strip_prefix("~/") {
            Some(rest) => normalise(rest).map(Self::Home),
            None => normalise(path).map(Self::Project),
        }
    }
}

fn read(
    scope: &Scope,
    project: &Path,
    home: Option<&Path>,
    place: &RootedPath,
) -> Result<Vec<u8>, Error> {
    match place {
        RootedPath::Project(path) => {
            let real = resolve(project, path)?;
            let root =
                fs::canonicalize(project).map_err(|error| unreadable("the project", &error))?;
            scope.workspace_read(&relative(&root, &real).unwrap_or_default())?;
            read_bounded(&real, path)
        }
        RootedPath::Home(path) => {
            let shown = format!("~/{path}");
            let missing = || {
                Error::new(
                    ErrorKind::NotFound,
                    "todohost.workspace.no-home",
                    "the home directory is unknown",
                )
            };
            let home = home.ok_or_else(missing)?;
            let home =
                fs::canonicalize(home).map_err(|error| unreadable("the home directory", &error))?;
            let real =
                fs::canonicalize(home.join(path)).map_err(|error| unreadable(&shown, &error))?;
            let Some(inside) = relative(&home, &real) else {
                let message = format!("{shown} is a link that leads out of the home directory");
                return Err(Error::new(ErrorKind::Denied, "todohost.workspace.escape", message));
            };
            scope.user_file_read(&inside)?;
            read_bounded(&real, &shown)
        }
    }
}

/// Runs `work` outside of the async threads, so that a slow disk does not delay other steps.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(
            ErrorKind::Internal,
            "todohost.workspace.broken",
            "the task that reads files failed",
        )
        .caused_by(&error))
    })
}

impl workspace::Host for State {
    async fn read(&mut self, path: String) -> EngineResult<Result<Vec<u8>, Error>> {
        let place = match RootedPath::of(&path) {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let granted = match &place {
            RootedPath::Project(path) => {
                self.facts.workspace.insert(path.clone());
                self.scope.workspace_read(path)
            }
            RootedPath::Home(path) => {
                self.facts.user_files.insert(path.clone());
                self.scope.user_file_read(path)
            }
        };
        let (environment, scope) = (Arc::clone(&self.context.environment), Arc::clone(&self.scope));
        let reading = blocking(move || {
            read(&scope, &environment.project_root, environment.home.as_deref(), &place)
        });
        Ok(self.call(host_call("read", path), granted, reading).await)
    }

    async fn glob(&mut self, pattern: String) -> EngineResult<Result<Vec<Entry>, Error>> {
        let place = match RootedPath::of(&pattern) {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let (environment, scope) = (Arc::clone(&self.context.environment), Arc::clone(&self.scope));
        match &place {
            RootedPath::Project(pattern) => self.facts.workspace.insert(pattern.clone()),
            RootedPath::Home(pattern) => self.facts.user_files.insert(pattern.clone()),
        };
        // The result leaves out files that are not granted. A pattern that matches none of them is not an error.
        let searching = blocking(move || match place {
            RootedPath::Project(pattern) => {
                tree::glob(&environment.project_root, &pattern, "", &|path| {
                    scope.reads_workspace(path)
                })
            }
            RootedPath::Home(pattern) => {
                let Some(home) = &environment.home else { return Ok(Vec::new()) };
                tree::glob(home, &pattern, "~/", &|path| scope.reads_user_file(path))
            }
        });
        Ok(self.call(host_call("glob", pattern), Ok(()), searching).await)
    }

    async fn digest(
        &mut self,
        paths: Vec<String>,
        ignore: Vec<String>,
    ) -> EngineResult<Result<String, Error>> {
        let normal: Result<Vec<String>, Error> = paths.iter().map(|path| normalise(path)).collect();
        let normal = match normal {
            Ok(normal) => normal,
            Err(error) => return Ok(Err(error)),
        };
        // A digest reveals only whether a file changed, so a grant of a directory's content covers the directory.
        let granted = normal.iter().try_for_each(|path| {
            if self.scope.reads_workspace(path) || self.scope.reads_workspace(&format!("{path}/x"))
            {
                return Ok(());
            }
            self.scope.workspace_read(path)
        });
        self.facts.workspace.extend(normal.iter().cloned());
        let root = self.context.environment.project_root.clone();
        let digesting = blocking(move || digest(&root, &normal, &ignore));
        Ok(self.call(host_call("digest", paths.join(" ")), granted, digesting).await)
    }

    async fn contexts(&mut self) -> EngineResult<Result<Vec<(String, String, String)>, Error>> {
        let granted = self.scope.contexts();
        let files = self.context.environment.kubeconfig.clone();
        let reading = blocking(move || contexts(&files));
        Ok(self.call(host_call("contexts", String::new()), granted, reading).await)
    }
}

/// One digest over names and contents below normalised paths of the project.
fn digest(root: &Path, paths: &[String], ignore: &[String]) -> Result<String, Error> {
    let patterns = IgnorePatterns::new(ignore)
        .map_err(|error| invalid(format!("an ignore pattern is malformed: {error}")))?;
    let paths: Vec<String> = paths
        .iter()
        .map(|path| {
            // The digest of a symlink is the digest of its target path; the link is not followed.
            if !root.join(path).is_symlink() {
                resolve(root, path)?;
            }
            Ok(if path.is_empty() { ".".to_owned() } else { path.clone() })
        })
        .collect::<Result<_, Error>>()?;
    digest_tree(root, &paths, &patterns, None).map_err(|error| unreadable(&paths.join(" "), &error))
}

/// The contexts of the kubeconfig: name, cluster name and host. No credentials.
fn contexts(files: &[PathBuf]) -> Result<Vec<(String, String, String)>, Error> {
    let contexts = todohost_cluster::contexts(files).map_err(|error| {
        let message = "cannot read the kubeconfig";
        Error::new(ErrorKind::Unavailable, "todohost.workspace.kubeconfig", message)
            .caused_by(&error)
    })?;
    Ok(contexts
        .into_iter()
        .map(|context| {
            // A URL may contain a user and a password.
            let server = url::Url::parse(&context.server).ok();
            let host = server.as_ref().and_then(url::Url::host_str).unwrap_or_default();
            (context.name, context.cluster, host.to_owned())
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(normalise("./a//b/./c").unwrap(), "a/b/c");
        assert_eq!(normalise(".").unwrap(), "");
        for hostile in ["/etc/passwd", "../x", "a/../../x", "a\\..\\b", "a\0b", "a\nb", "a/.."] {
            assert_eq!(
                normalise(hostile).unwrap_err().kind,
                ErrorKind::InvalidInput,
                "{hostile:?}"
            );
        }
    }

    #[test]
    fn a_digest_covers_the_project_alone() {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join("app")).unwrap();
        std::fs::write(project.path().join("app/main.py"), "print()").unwrap();
        let of = |paths: &[&str], ignore: &[&str]| {
            let owned =
                |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            digest(project.path(), &owned(paths), &owned(ignore))
        };
        let (app, all) = (of(&["app"], &[]).unwrap(), of(&[""], &[]).unwrap());
        assert_ne!(of(&["app"], &["/app/main.py"]).unwrap(), app);
        std::fs::write(project.path().join("app/main.py"), "exit()").unwrap();
        assert_ne!(of(&["app"], &[]).unwrap(), app);
        assert_ne!(of(&[""], &[]).unwrap(), all);
        assert_eq!(of(&["none"], &[]).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(of(&["app"], &["a{b"]).unwrap_err().kind, ErrorKind::InvalidInput);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_project_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let project = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), project.path().join("link")).unwrap();
        std::fs::write(project.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", project.path().join("alias")).unwrap();
        assert_eq!(resolve(project.path(), "link/secret").unwrap_err().kind, ErrorKind::Denied);
        assert!(resolve(project.path(), "alias").unwrap().ends_with("file"));
        assert_eq!(resolve(project.path(), "none").unwrap_err().kind, ErrorKind::NotFound);
    }
}
