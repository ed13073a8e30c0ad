//! Grants applied to the environment of one call, which gives `$chart`, `$namespace`, `$secret` and `~` their values.

use std::path::PathBuf;

use globset::GlobSet;

use super::Grants;
use super::pattern::{self, kind_matches, place_matches, text_matches};
use crate::capability::CallEnvironment;
use crate::plugin::manifest::{ClusterScope, NAMED_SECRET, ProcessScope};
use crate::plugin::wit::{Error, ErrorKind};

/// The grants of a component in one environment.
pub(crate) struct Scope {
    grants: Grants,
    namespace: String,
    secret: Option<String>,
    workspace: GlobSet,
    user_files: GlobSet,
}

impl Scope {
    pub(crate) fn new(grants: &Grants, environment: &CallEnvironment) -> Self {
        let chart = environment.chart.as_deref().map(|chart| chart.trim_end_matches('/'));
        let expanded: Vec<String> = grants
            .granted
            .workspace_read
            .iter()
            .filter_map(|pattern| match (pattern.strip_prefix("$chart"), chart) {
                (None, _) => Some(pattern.clone()),
                (Some(rest), Some(chart)) => {
                    Some(format!("{}{rest}", globset::escape(chart.trim_start_matches("./"))))
                }
                // Without a chart, `$chart` has no value.
                (Some(_), None) => None,
            })
            .collect();
        Self {
            namespace: environment.namespace.clone(),
            secret: environment.secret.clone(),
            workspace: pattern::paths(&expanded),
            user_files: pattern::paths(
                grants
                    .granted
                    .user_files_read
                    .iter()
                    .filter_map(|pattern| pattern.strip_prefix("~/")),
            ),
            grants: grants.clone(),
        }
    }

    /// `path` is project-relative and normalised.
    pub(crate) fn workspace_read(&self, path: &str) -> Result<(), Error> {
        if self.reads_workspace(path) {
            return Ok(());
        }
        Err(self.denied(&format!("read {path}"), &format!("workspace-read = [{path:?}]")))
    }

    pub(crate) fn reads_workspace(&self, path: &str) -> bool {
        self.workspace.is_match(path)
    }

    /// `path` is relative to the home directory and normalised.
    pub(crate) fn user_file_read(&self, path: &str) -> Result<(), Error> {
        if self.reads_user_file(path) {
            return Ok(());
        }
        let path = format!("~/{path}");
        Err(self.denied(&format!("read {path}"), &format!("user-files-read = [{path:?}]")))
    }

    pub(crate) fn reads_user_file(&self, path: &str) -> bool {
        self.user_files.is_match(path)
    }

    /// The list of contexts. The grant names the default path of the kubeconfig, also if the file is at another path.
    pub(crate) fn contexts(&self) -> Result<(), Error> {
        if self.user_files.is_match(".kube/config") {
            return Ok(());
        }
        Err(self.denied(
            "list the contexts of the kubeconfig",
            "user-files-read = [\"~/.kube/config\"]",
        ))
    }

    /// The variables that are granted to the program.
    pub(crate) fn process(&self, program: &str, args: &[String]) -> Result<&[String], Error> {
        let scopes = &self.grants.granted.process_exec;
        let fits = |scope: &&ProcessScope| {
            scope.program == program && pattern::arguments_match(&scope.args, args)
        };
        if let Some(scope) = scopes.iter().find(fits) {
            return Ok(&scope.env);
        }
        let wanted = ProcessScope {
            program: program.to_owned(),
            args: args.iter().map(|arg| shorten(arg)).collect(),
            env: Vec::new(),
        };
        let call = format!("run `{}`", shorten(&format!("{program} {}", args.join(" "))));
        Err(self.denied(&call, &format!("process-exec = [{wanted}]")))
    }

    /// Any grant of a program covers asking for its version.
    pub(crate) fn program(&self, program: &str) -> Result<&[String], Error> {
        let scopes = &self.grants.granted.process_exec;
        if let Some(scope) = scopes.iter().find(|scope| scope.program == program) {
            return Ok(&scope.env);
        }
        let wanted = ProcessScope {
            program: program.to_owned(),
            args: vec!["--version".to_owned()],
            env: Vec::new(),
        };
        let call = format!("ask for the version of `{}`", shorten(program));
        Err(self.denied(&call, &format!("process-exec = [{wanted}]")))
    }

    /// `namespace` is `None` for cluster-scoped objects, or for a list of all namespaces.
    pub(crate) fn cluster_read(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        every_namespace: bool,
    ) -> Result<(), Error> {
        let scopes = &self.grants.granted.cluster_read;
        self.cluster(scopes, "cluster-read", "read", api_version, kind, namespace, every_namespace)
    }

    pub(crate) fn cluster_write(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<(), Error> {
        let scopes = &self.grants.granted.cluster_write;
        self.cluster(scopes, "cluster-write", "write", api_version, kind, namespace, false)
    }

    #[expect(clippy::too_many_arguments, reason = "one rule for reading and writing")]
    fn cluster(
        &self,
        scopes: &[ClusterScope],
        name: &str,
        verb: &str,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        every_namespace: bool,
    ) -> Result<(), Error> {
        let in_namespace = |scope: &ClusterScope| match namespace {
            Some(namespace) => scope.namespaces.iter().any(|pattern| {
                text_matches(
                    if pattern == "$namespace" { &self.namespace } else { pattern },
                    namespace,
                )
            }),
            // A list of all namespaces needs `*`; a cluster-scoped object needs no namespace.
            None => !every_namespace || scope.namespaces.iter().any(|pattern| pattern == "*"),
        };
        let fits = |scope: &&ClusterScope| {
            scope.kinds.iter().any(|pattern| kind_matches(pattern, api_version, kind))
                && in_namespace(scope)
        };
        if scopes.iter().any(|scope| fits(&scope)) {
            return Ok(());
        }
        let wanted = ClusterScope {
            kinds: vec![format!("{api_version}/{kind}")],
            namespaces: match namespace {
                Some(namespace) if namespace == self.namespace => vec!["$namespace".to_owned()],
                Some(namespace) => vec![namespace.to_owned()],
                None if every_namespace => vec!["*".to_owned()],
                None => Vec::new(),
            },
        };
        let place = namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
        Err(self.denied(
            &format!("{verb} {api_version} {kind}{place}"),
            &format!("{name} = [{wanted}]"),
        ))
    }

    pub(crate) fn http(&self, host: &str, port: u16) -> Result<(), Error> {
        if self.grants.granted.http_allow.iter().any(|pattern| place_matches(pattern, host, port)) {
            return Ok(());
        }
        let place = format!("{host}:{port}");
        Err(self.denied(&format!("reach {place}"), &format!("http-allow = [{place:?}]")))
    }

    /// `host_of` returns the address inside a secret. Returns whether the address is that of a granted secret.
    pub(crate) fn tcp(
        &self,
        host: &str,
        port: u16,
        host_of: impl Fn(&str) -> Option<(String, u16)>,
    ) -> Result<bool, Error> {
        let granted = &self.grants.granted.tcp_connect;
        let named = self.is_named(granted, host, port, host_of);
        if named || granted.iter().any(|pattern| place_matches(pattern, host, port)) {
            return Ok(named);
        }
        let place = format!("{host}:{port}");
        Err(self.denied(&format!("connect to {place}"), &format!("tcp-connect = [{place:?}]")))
    }

    /// A connection from inside the cluster; only the address inside a secret can be granted.
    pub(crate) fn tcp_from_cluster(
        &self,
        host: &str,
        port: u16,
        host_of: impl Fn(&str) -> Option<(String, u16)>,
    ) -> Result<(), Error> {
        if self.is_named(&self.grants.granted.tcp_connect_from_cluster, host, port, host_of) {
            return Ok(());
        }
        Err(self.denied(
            &format!("connect to {host}:{port} from inside the cluster"),
            "tcp-connect-from-cluster = [\"secret:PATH\"]",
        ))
    }

    /// Whether one of the granted secrets has this address.
    fn is_named(
        &self,
        granted: &[String],
        host: &str,
        port: u16,
        host_of: impl Fn(&str) -> Option<(String, u16)>,
    ) -> bool {
        let secrets = granted.iter().filter_map(|pattern| pattern.strip_prefix("secret:"));
        let mut named = secrets.filter_map(|path| match path {
            NAMED_SECRET => host_of(self.secret.as_deref()?),
            path => host_of(path),
        });
        named.any(|(name, number)| name.eq_ignore_ascii_case(host) && number == port)
    }

    /// The error of a denied call; its help has the exact grant to add, and the command that allows it.
    fn denied(&self, call: &str, grant: &str) -> Error {
        let Grants { plugin, path, core, .. } = &self.grants;
        let path: &PathBuf = path;
        let then = if *core {
            "rebuild the core plugins".to_owned()
        } else {
            format!("rebuild it, then type: todohost plugin allow {}", path.display())
        };
        Error::new(
            ErrorKind::Denied,
            "todohost.grant.missing",
            format!("plugin `{plugin}` is not allowed to {call}"),
        )
        .with_help(format!("add `{grant}` to [requests] in its plugin.toml and {then}"))
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(200).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use super::*;
    use crate::capability::NoSecrets;
    use crate::plugin::manifest::Requests;

    fn scope(requests: &str) -> Scope {
        let granted: Requests = toml::from_str(requests).unwrap();
        let grants = Grants {
            plugin: "tested".to_owned(),
            path: PathBuf::from("plugins/tested.wasm"),
            core: false,
            granted,
            linked: BTreeSet::new(),
        };
        let environment = CallEnvironment {
            project_root: PathBuf::from("/project"),
            chart: Some("helm/app/".to_owned()),
            namespace: "app".to_owned(),
            home: None,
            kubeconfig: Vec::new(),
            variables: BTreeMap::new(),
            cluster: None,
            relay: None,
            vault: Arc::new(NoSecrets),
            secret: Some("secrets.databaseUrl".to_owned()),
        };
        Scope::new(&grants, &environment)
    }

    /// Asserts for each set of requests whether it allows the call.
    fn ladder(rungs: &[(&str, bool)], ask: impl Fn(&Scope) -> Result<(), Error>) {
        for (granted, expected) in rungs {
            let answer = ask(&scope(granted));
            assert_eq!(answer.is_ok(), *expected, "with `{granted}`: {answer:?}");
            if let Err(error) = answer {
                assert_eq!(error.kind, ErrorKind::Denied);
                let help = error.help.unwrap();
                assert!(help.contains("todohost plugin allow plugins/tested.wasm"), "{help}");
            }
        }
    }

    #[test]
    fn files() {
        let rungs = [
            ("", false),
            (r#"workspace-read = ["backend/**"]"#, false),
            (r#"workspace-read = ["helm/*"]"#, false),
            (r#"workspace-read = ["helm/app/values.yaml"]"#, true),
            (r#"workspace-read = ["$chart/**"]"#, true),
            (r#"workspace-read = ["**"]"#, true),
        ];
        ladder(&rungs, |scope| scope.workspace_read("helm/app/values.yaml"));
        let rungs = [
            ("", false),
            (r#"workspace-read = ["**"]"#, false),
            (r#"user-files-read = ["~/.config/**"]"#, false),
            (r#"user-files-read = ["~/.kube/**"]"#, true),
        ];
        ladder(&rungs, |scope| scope.user_file_read(".kube/config"));
        ladder(&rungs, Scope::contexts);
    }

    #[test]
    fn programs() {
        let args = ["image".to_owned(), "inspect".to_owned(), "a b".to_owned()];
        let rungs = [
            ("", false),
            (r#"process-exec = [{ program = "docker" }]"#, false),
            (r#"process-exec = [{ program = "other", args = ["**"] }]"#, false),
            (r#"process-exec = [{ program = "docker", args = ["image", "inspect"] }]"#, false),
            (
                r#"process-exec = [{ program = "docker", args = ["image", "inspect", "a b"] }]"#,
                true,
            ),
            (r#"process-exec = [{ program = "docker", args = ["image", "*", "**"] }]"#, true),
        ];
        ladder(&rungs, |scope| scope.process("docker", &args).map(drop));
    }

    #[test]
    fn the_cluster() {
        let rungs = [
            ("", false),
            (r#"cluster-read = [{ kinds = ["v1/Pod"] }]"#, false),
            (r#"cluster-read = [{ kinds = ["v1/Secret"], namespaces = ["app"] }]"#, false),
            (r#"cluster-read = [{ kinds = ["v1/Pod"], namespaces = ["other"] }]"#, false),
            (r#"cluster-write = [{ kinds = ["v1/Pod"], namespaces = ["app"] }]"#, false),
            (r#"cluster-read = [{ kinds = ["v1/Pod"], namespaces = ["$namespace"] }]"#, true),
            (r#"cluster-read = [{ kinds = ["*"], namespaces = ["*"] }]"#, true),
        ];
        ladder(&rungs, |scope| scope.cluster_read("v1", "Pod", Some("app"), false));
        let rungs = [
            (r#"cluster-read = [{ kinds = ["v1/Pod"], namespaces = ["$namespace"] }]"#, false),
            (r#"cluster-read = [{ kinds = ["v1/Pod"], namespaces = ["*"] }]"#, true),
        ];
        ladder(&rungs, |scope| scope.cluster_read("v1", "Pod", None, true));
        let rungs = [("", false), (r#"cluster-read = [{ kinds = ["v1/Node"] }]"#, true)];
        ladder(&rungs, |scope| scope.cluster_read("v1", "Node", None, false));
    }

    #[test]
    fn places() {
        let rungs = [
            ("", false),
            (r#"http-allow = ["localhost:80"]"#, false),
            (r#"tcp-connect = ["localhost:30000"]"#, false),
            (r#"http-allow = ["localhost:*"]"#, true),
        ];
        ladder(&rungs, |scope| scope.http("localhost", 30000));
        let rungs = [
            ("", false),
            (r#"tcp-connect = ["secret:secrets.other"]"#, false),
            (r#"tcp-connect = ["db.example:5432"]"#, true),
            (r#"tcp-connect = ["secret:secrets.databaseUrl"]"#, true),
            (r#"tcp-connect = ["secret:$secret"]"#, true),
        ];
        let named =
            |path: &str| (path == "secrets.databaseUrl").then(|| ("DB.example".to_owned(), 5432));
        ladder(&rungs, |scope| scope.tcp("db.example", 5432, named).map(drop));
        let rungs = [
            ("", false),
            (r#"tcp-connect = ["secret:secrets.databaseUrl"]"#, false),
            (r#"tcp-connect-from-cluster = ["secret:secrets.other"]"#, false),
            (r#"tcp-connect-from-cluster = ["secret:secrets.databaseUrl"]"#, true),
            (r#"tcp-connect-from-cluster = ["secret:$secret"]"#, true),
        ];
        ladder(&rungs, |scope| scope.tcp_from_cluster("db.example", 5432, named));
        let rungs = [(r#"tcp-connect-from-cluster = ["secret:$secret"]"#, false)];
        ladder(&rungs, |scope| scope.tcp("db.example", 5432, named).map(drop));
        ladder(&rungs, |scope| scope.tcp_from_cluster("db.example", 5433, named));
    }

    #[test]
    fn a_denial_prints_the_grant_to_add() {
        let args = ["ps".to_owned()];
        let error = scope("").process("docker", &args).unwrap_err();
        assert_eq!(error.message, "plugin `tested` is not allowed to run `docker ps`");
        let help = error.help.unwrap();
        assert!(
            help.contains(r#"process-exec = [{ program = "docker", args = ["ps"], env = [] }]"#),
            "{help}"
        );
        let error = scope("").cluster_read("v1", "Pod", Some("app"), false).unwrap_err();
        let help = error.help.unwrap();
        assert!(
            help.contains(
                r#"cluster-read = [{ kinds = ["v1/Pod"], namespaces = ["$namespace"] }]"#
            ),
            "{help}"
        );
    }
}
