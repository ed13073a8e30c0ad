//! Compares the built component with upstream's `helm template`: equal output byte for byte, and equal errors.
//!
//! Run with `make unit TEST=todohost-helm`.

#![expect(clippy::expect_used, reason = "a test fails on unmet expectations")]

#[path = "support/renderer.rs"]
mod renderer;
#[path = "support/upstream.rs"]
mod upstream;

use renderer::{Rendered, Renderer, Request, ValuesFile, World, request};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

static RENDERER: LazyLock<Renderer> = LazyLock::new(Renderer::load);

/// A project with charts in it.
fn project() -> TempDir {
    let root = tempfile::tempdir().expect("a temporary directory");
    upstream::copy(Path::new("tests/charts"), &root.path().join("charts"));
    upstream::copy(Path::new("../../../helm/todo-app"), &root.path().join("helm/todo-app"));
    root
}

/// The output in the form of `helm template --include-crds`.
fn stream(rendered: &Rendered) -> String {
    let mut text = String::new();
    let mut document = |source: &str, content: &str| {
        write!(text, "---\n# Source: {source}\n{content}\n")
            .expect("writing to a String cannot fail");
    };
    for manifest in rendered.definitions.iter().chain(&rendered.manifests) {
        document(&manifest.source, &manifest.content);
    }
    let mut text = text.trim().to_owned();
    text.push('\n');
    for hook in &rendered.hooks {
        write!(text, "---\n# Source: {}\n{}\n", hook.source, hook.content)
            .expect("writing to a String cannot fail");
    }
    text
}

fn render(root: &Path, request: &Request) -> Rendered {
    let (result, _) = RENDERER.render(World::at(root), request);
    result.unwrap_or_else(|error| panic!("{}: {:?}", error.message, error.causes))
}

/// Renders a chart with the component and with upstream's helm, and compares the output.
fn same(root: &Path, chart: &str, change: impl FnOnce(&mut Request), arguments: &[&str]) {
    let mut request = request(chart);
    change(&mut request);
    let ours = stream(&render(root, &request));
    let arguments: Vec<_> = ["--include-crds"].iter().chain(arguments).copied().collect();
    let theirs = upstream::template(root, chart, &arguments).expect("helm renders it");
    assert!(ours == theirs, "{chart} differs\n=== ours\n{ours}\n=== helm's\n{theirs}");
}

#[test]
fn imports_only_capabilities_and_exports_only_render() {
    let mut interfaces = RENDERER.interfaces.clone();
    interfaces.sort();
    let expected = [
        "export todohost:plugin/render@0.0.1",
        "import todohost:plugin/cluster-read@0.0.1",
        "import todohost:plugin/env@0.0.1",
        "import todohost:plugin/log@0.0.1",
        "import todohost:plugin/types@0.0.1",
        "import todohost:plugin/workspace@0.0.1",
    ];
    assert_eq!(interfaces, expected);
}

#[test]
fn todo_chart_renders_like_helm() {
    let project = project();
    let set = [
        "secrets.databaseUrl=postgresql://user:word@db.example:5432/todo",
        "secrets.jwtSecret=0123456789abcdef0123456789abcdef",
    ];
    same(
        project.path(),
        "helm/todo-app",
        |request| request.values.set = set.map(String::from).to_vec(),
        &["--set", set[0], "--set", set[1]],
    );
}

#[test]
fn starter_chart_renders_like_helm() {
    let project = project();
    upstream::create(project.path(), "fresh");
    same(project.path(), "fresh", |_| {}, &[]);
    same(
        project.path(),
        "fresh",
        |request| {
            request.values.set_json = vec![r#"{"ingress": {"enabled": true}}"#.into()];
            request.values.set = vec!["autoscaling.enabled=true".into()];
        },
        &["--set-json", r#"{"ingress": {"enabled": true}}"#, "--set", "autoscaling.enabled=true"],
    );
}

#[test]
fn subcharts_hooks_definitions_and_ignored_files_render_like_helm() {
    let project = project();
    same(project.path(), "charts/everything", |_| {}, &[]);
    same(
        project.path(),
        "charts/everything",
        |request| request.values.set = vec!["absent.enabled=true,tags.extra=false".into()],
        &["--set", "absent.enabled=true,tags.extra=false"],
    );
}

#[test]
fn all_kinds_of_values_are_merged_like_helm() {
    let project = project();
    let files = [("a.yaml", "name: file\nnested: {removed: null}\n"), ("b.yaml", "list: [9]\n")];
    for (name, content) in files {
        std::fs::write(project.path().join(name), content).expect("a file");
    }
    std::fs::write(project.path().join("text"), "from, a file\n").expect("a file");
    same(
        project.path(),
        "charts/everything",
        |request| {
            request.values.files = files
                .map(|(name, content)| ValuesFile { name: name.into(), content: content.into() })
                .to_vec();
            request.values.set_json = vec![r#"name="json""#.into(), r#"json={"a":[1]}"#.into()];
            request.values.set = vec![r"name=set,a.b[1]=x,escaped=1\,2".into()];
            request.values.set_string = vec!["number=0012".into()];
            request.values.set_file = vec![("renamed.color".into(), b"from, a file\n".to_vec())];
        },
        &[
            "-f=a.yaml",
            "-f=b.yaml",
            r#"--set-json=name="json""#,
            r#"--set-json=json={"a":[1]}"#,
            r"--set=name=set,a.b[1]=x,escaped=1\,2",
            "--set-string=number=0012",
            "--set-file=renamed.color=text",
        ],
    );
}

#[test]
fn capabilities_and_upgrades_render_like_helm() {
    let project = project();
    same(
        project.path(),
        "charts/everything",
        |request| {
            request.kubernetes_version = "v1.35.2+k3s1".into();
            request.is_upgrade = true;
        },
        &["--kube-version=v1.35.2+k3s1", "--is-upgrade"],
    );
    let mut request = request("charts/everything");
    request.api_versions = vec!["v1".into(), "networking.k8s.io/v1/Ingress".into()];
    request.revision = 7;
    let rendered = render(project.path(), &request);
    let text = stream(&rendered);
    assert!(text.contains("hasIngress: \"true\""), "{text}");
    assert!(text.contains("versions: \"v1,networking.k8s.io/v1/Ingress\""), "{text}");
    assert_eq!(rendered.notes, "demo runs in prod, revision 7.\n");
}

#[test]
fn order_of_subcharts_is_a_warning() {
    let project = project();
    let file = project.path().join("charts/everything/Chart.yaml");
    let chart = std::fs::read_to_string(&file).expect("a file");
    let findings = |chart: &str| -> Vec<String> {
        std::fs::write(&file, chart).expect("a file");
        let rendered = render(project.path(), &request("charts/everything"));
        rendered.findings.into_iter().map(|finding| finding.message).collect()
    };
    let before = findings(&chart);
    let new_findings = |chart: &str| -> Vec<String> {
        findings(chart).into_iter().filter(|one| !before.contains(one)).collect()
    };
    let annotated = format!("{chart}annotations:\n  helm.sh/depends-on/subcharts: '[\"child\"]'\n");
    let dependent = chart.replacen("  - name: ", "  - depends-on: [child]\n    name: ", 1);
    for (chart, field) in
        [(annotated, "helm.sh/depends-on/subcharts"), (dependent, "`depends-on` of a dependency")]
    {
        let warnings = new_findings(&chart);
        let start = format!("chart everything: {field} in Chart.yaml has no effect; ");
        assert!(warnings.len() == 1 && warnings[0].starts_with(&start), "{warnings:?}");
    }
}

#[test]
fn chart_with_150_objects_renders_like_helm() {
    let project = project();
    same(project.path(), "charts/many", |_| {}, &[]);
    assert_eq!(render(project.path(), &request("charts/many")).manifests.len(), 150);
}

#[test]
fn hooks_carry_their_events_weight_and_delete_policies() {
    let project = project();
    let hooks = render(project.path(), &request("charts/everything")).hooks;
    let after = hooks.iter().find(|hook| hook.content.contains("name: after")).expect("a hook");
    assert_eq!(after.events, ["post-install", "post-upgrade"]);
    assert_eq!(after.weight, 5);
    assert_eq!(after.delete_policies, ["before-hook-creation", "hook-succeeded"]);
    assert_eq!(after.source, "everything/templates/hooks.yaml");
    assert_eq!(hooks.len(), 3, "a hook with an unknown event is left out");
}

#[test]
fn render_is_deterministic_with_the_hosts_clock_and_random_numbers() {
    let project = project();
    let chart = project.path().join("charts/many/templates");
    std::fs::write(
        chart.join("random.yaml"),
        "kind: ConfigMap\nmetadata: {name: r}\ndata: {a: {{ randAlphaNum 16 }}, b: {{ uuidv4 }}, \
         c: \"{{ randInt 0 1000000 }}\", d: \"{{ now | unixEpoch }}\"}\n",
    )
    .expect("a file");
    let request = request("charts/many");
    let (first, world) = RENDERER.render(World::at(project.path()), &request);
    let (second, _) = RENDERER.render(World::at(project.path()), &request);
    let (first, second) = (first.expect("it renders"), second.expect("it renders"));
    assert_eq!(stream(&first), stream(&second));
    assert!(stream(&first).contains("d: \"1700000000\""), "templates see the host's clock");
    assert!(world.drawn > 0, "templates use the host's random numbers");

    let mut other = World::at(project.path());
    other.drawn = 1_000_000;
    let (other, _) = RENDERER.render(other, &request);
    let other = other.expect("it renders");
    let drawn = |rendered: &Rendered| {
        let text = stream(rendered);
        let line = text.lines().find(|line| line.starts_with("data: {a:")).expect("its line");
        line.split(", ").take(3).map(String::from).collect::<Vec<_>>()
    };
    for (one, another) in drawn(&first).iter().zip(drawn(&other)) {
        assert_ne!(one, &another, "another seed, another value");
    }
}

#[test]
fn result_has_the_chart_and_values_that_helm_stores() {
    let project = project();
    let mut request = request("charts/everything");
    request.values.set = vec!["name=given".into()];
    let rendered = render(project.path(), &request);
    let chart: serde_json::Value = serde_json::from_str(&rendered.chart).expect("JSON");
    assert_eq!(chart["metadata"]["name"], "everything");
    assert_eq!(chart["values"]["name"], "plain");
    let names: Vec<_> =
        chart["templates"].as_array().expect("a list").iter().map(|file| &file["name"]).collect();
    assert!(names.contains(&&"templates/config.yaml".into()), "{names:?}");
    assert!(!rendered.chart.contains("an ignored file"), "ignored files are not stored");
    assert!(chart["schema"].is_string() && chart["files"].is_array());
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&rendered.config).expect("JSON")["name"],
        "given"
    );
    let effective: serde_json::Value = serde_json::from_str(&rendered.effective).expect("JSON");
    assert_eq!(effective["name"], "given");
    assert_eq!(effective["renamed"]["color"], "blue");
}

#[test]
fn lookups_are_answered_by_the_host() {
    let project = project();
    let template = project.path().join("charts/many/templates/lookup.yaml");
    std::fs::write(
        &template,
        "{{- $secret := lookup \"v1\" \"Secret\" \"prod\" \"there\" }}\nkind: ConfigMap\n\
         found: {{ $secret.data.password }}\nnumber: {{ $secret.number }}\n\
         rest: {{ len (lookup \"v1\" \"Pod\" \"\" \"\").items }}\n",
    )
    .expect("a file");
    let mut world = World::at(project.path());
    world.objects.push_back(r#"{"data":{"password":"dG9rZW4="},"number":9007199254740993}"#.into());
    let (rendered, world) = RENDERER.render(world, &request("charts/many"));
    let text = stream(&rendered.expect("it renders"));
    assert!(text.contains("found: dG9rZW4=\nnumber: 9007199254740993\nrest: 0"), "{text}");
    assert_eq!(world.lookups, ["v1 Secret prod there", "v1 Pod "]);

    std::fs::write(
        &template,
        "{{ range until 2000 }}{{ lookup \"v1\" \"Pod\" \"a\" (print .) }}{{ end }}",
    )
    .expect("a file");
    let (rendered, world) = RENDERER.render(World::at(project.path()), &request("charts/many"));
    rendered.expect_err("the text is not an object");
    assert_eq!(world.lookups.len(), 2000);

    std::fs::write(&template, "{{ lookup \"v1\" \"Refused\" \"a\" \"b\" }}").expect("a file");
    let (refused, _) = RENDERER.render(World::at(project.path()), &request("charts/many"));
    let refused = refused.expect_err("the host refuses the lookup");
    assert!(refused.message.ends_with("the test world does not support this"), "{refused:?}");
}

#[test]
fn errors_have_helms_message_and_the_location() {
    let project = project();
    let broken = |template: &str, set: &[&str]| {
        std::fs::write(project.path().join("charts/many/templates/broken.yaml"), template)
            .expect("a file");
        let mut request = request("charts/many");
        request.values.set = set.iter().map(ToString::to_string).collect();
        let (result, _) = RENDERER.render(World::at(project.path()), &request);
        let error = result.expect_err("it does not render");
        let arguments: Vec<_> = set.iter().flat_map(|set| ["--set", set]).collect();
        let theirs = upstream::template(project.path(), "charts/many", &arguments)
            .expect_err("helm does not render it either");
        for line in std::iter::once(&error.message).chain(&error.causes) {
            for part in line.split(": ") {
                assert!(theirs.contains(part), "helm does not say {part:?} but\n{theirs}");
            }
        }
        (error.code.clone(), error.message.clone(), error.help.clone().unwrap_or_default())
    };
    assert_eq!(
        broken("a: b\nc: {{ required \"give me a value\" .Values.none }}\n", &[]),
        (
            "helm.render.template".into(),
            "execution error at (many/templates/broken.yaml:2:6): give me a value".into(),
            "correct charts/many/templates/broken.yaml:2".into()
        )
    );
    let (code, message, help) = broken("\n{{ if }}\n", &[]);
    assert_eq!(code, "helm.render.template");
    assert!(message.starts_with("parse error at (many/templates/broken.yaml:2)"), "{message}");
    assert_eq!(help, "correct charts/many/templates/broken.yaml:2");
    let (code, message, help) = broken("{{ include \"no.such.name\" . }}", &[]);
    assert_eq!(code, "helm.render.template");
    assert!(message.starts_with("many/templates/broken.yaml:1:3: executing"), "{message}");
    assert_eq!(help, "correct charts/many/templates/broken.yaml:1");
    let (code, message, _) = broken("a: [unclosed\n", &[]);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("helm.render.template", "YAML parse error on many/templates/broken.yaml")
    );
    let (code, message, _) = broken("", &["a.b[x]=1"]);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("helm.render.values", "failed parsing --set data")
    );
}

#[test]
fn missing_and_uninstallable_charts_are_errors() {
    let project = project();
    let error = |chart: &str| {
        let (result, _) = RENDERER.render(World::at(project.path()), &request(chart));
        let error = result.expect_err("it is refused");
        (error.code, error.message)
    };
    assert_eq!(error("nowhere"), ("helm.chart.missing".into(), "no chart in nowhere".into()));
    let manifest = project.path().join("charts/many/Chart.yaml");
    let change = |text: &str| std::fs::write(&manifest, text).expect("a file");
    change("apiVersion: v2\nname: many\nversion: 0.1.0\ntype: library\n");
    assert_eq!(
        error("charts/many"),
        ("helm.chart.invalid".into(), "library charts are not installable".into())
    );
    change(
        "apiVersion: v2\nname: many\nversion: 0.1.0\ndependencies: [{name: gone, version: 1.0.0}]\n",
    );
    assert_eq!(
        error("charts/many").1,
        "found in Chart.yaml, but missing in charts/ directory: gone"
    );
    change("apiVersion: v2\nname: many\nversion: 0.1.0\nkubeVersion: '<1.2.0'\n");
    assert!(error("charts/many").1.starts_with("chart requires kubeVersion: <1.2.0"));
    change("apiVersion: v2\nname: many\n");
    assert_eq!(error("charts/many").1, "validation: chart.metadata.version is required");
}

#[test]
fn warnings_of_helm_are_findings() {
    let project = project();
    let mut request = request("charts/everything");
    request.values.set = vec!["list.a=text,absent.enabled=maybe".into()];
    let findings = render(project.path(), &request).findings;
    let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "returned non-bool value path=absent.enabled chart=absent",
            "skipped value for everything.list: Not a table.",
        ]
    );
}
