//! The app `parcel`: without an image build and long waits, and with every kind of object that a release can have.
//!
//! Owns its files. It is sufficient for tests of releases.

use std::process::Command;

use todohost_testkit::Project;

use super::real::Real;

/// The required secret of the app.
pub const TOKEN: &str = "canary-5e1f33d0";

/// A Python program for the app's data in the database of `DATABASE_URL`: `write`, `read`, `forget`. With a database,
/// the migration hook writes a row for the deployed greeting.
const ROWS: &str = include_str!("rows.py");

const PROJECT: &str = r#"[app]
name = "parcel"
namespace = "NAMESPACE"
chart = "chart"

[secrets]
"secrets.token" = { required = true }
"secrets.databaseUrl" = {}
"#;

const CHART: &str = "apiVersion: v2\nname: parcel\nversion: 0.3.0\nappVersion: '7'\n";

const VALUES: &str = r#"replicas: 1
greeting: hello
# python is the image that every other test builds on, so it is there already
image: python:3.13-slim-bookworm
migrate: echo migrated by $GREETING; test -z "$ROWS" || python3 -c "$ROWS" write
farewell: echo farewell
check: echo checked
secrets:
  token: ''
  databaseUrl: ''
"#;

const SECRET: &str = r#"apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-token
data:
  TOKEN: {{ required "secrets.token is required" .Values.secrets.token | b64enc | quote }}
"#;

const SETTINGS: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
data:
  greeting: {{ .Values.greeting | quote }}
  {{- with .Values.motto }}
  motto: {{ . | quote }}
  {{- end }}
";

const KEPT: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-kept
  annotations:
    helm.sh/resource-policy: keep
data:
  of: parcel
";

const DEPLOYMENT: &str = r"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: { app: {{ .Release.Name }} }
  template:
    metadata:
      labels: { app: {{ .Release.Name }} }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: parcel
          image: {{ .Values.image }}
          imagePullPolicy: IfNotPresent
          command: [sleep, infinity]
          env:
            - name: GREETING
              value: {{ .Values.greeting | quote }}
          envFrom:
            - secretRef: { name: {{ .Release.Name }}-token }
";

const SERVICE: &str = r"apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector: { app: {{ .Release.Name }} }
  ports:
    - port: 80
";

const HOOKS: &str = r#"{{- with .Values.secrets.databaseUrl }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $.Release.Name }}-database
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-1"
data:
  DATABASE_URL: {{ . | b64enc | quote }}
{{- end }}
{{- range $name, $at := dict "migrate" "pre-install,pre-upgrade" "farewell" "pre-delete" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
  annotations:
    helm.sh/hook: {{ $at }}
    {{- if eq $name "farewell" }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    {{- end }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers:
        - name: hook
          image: {{ $.Values.image }}
          imagePullPolicy: IfNotPresent
          command: [sh, -c, {{ index $.Values $name | quote }}]
          env:
            - name: GREETING
              value: {{ $.Values.greeting | quote }}
          {{- if $.Values.secrets.databaseUrl }}
            - name: ROWS
              value: {{ $.Files.Get "files/rows.py" | quote }}
          envFrom:
            - secretRef: { name: {{ $.Release.Name }}-database, optional: true }
          {{- end }}
{{- end }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-check
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: check
      image: {{ .Values.image }}
      imagePullPolicy: IfNotPresent
      command: [sh, -c, {{ .Values.check | quote }}]
"#;

const NOTES: &str = "revision {{ .Release.Revision }} says {{ .Values.greeting }}\n";

impl Real {
    /// The app `parcel` in a namespace called `parcel-NAME`.
    pub fn parcel(name: &str) -> Self {
        let namespace = format!("parcel-{name}");
        let project = Project::empty();
        for (path, content) in [
            ("todohost.toml", PROJECT.replace("NAMESPACE", &namespace).as_str()),
            ("chart/Chart.yaml", CHART),
            ("chart/values.yaml", VALUES),
            ("chart/templates/secret.yaml", SECRET),
            ("chart/templates/settings.yaml", SETTINGS),
            ("chart/templates/kept.yaml", KEPT),
            ("chart/templates/deployment.yaml", DEPLOYMENT),
            ("chart/templates/service.yaml", SERVICE),
            ("chart/templates/hooks.yaml", HOOKS),
            ("chart/templates/NOTES.txt", NOTES),
            ("chart/files/rows.py", ROWS),
        ] {
            project.write(path, content);
        }
        Self::new(project, &namespace)
    }

    /// `deploy` of the app `parcel`, with its secret and more values.
    pub fn deploy_parcel(&self, values: &[&str]) -> todohost_testkit::Host {
        let mut host = self.deploy().args(["--set", &format!("secrets.token={TOKEN}")]);
        for value in values {
            host = host.args(["--set", value]);
        }
        host
    }

    /// Runs a command of [`ROWS`] in a pod of the app; returns the printed rows.
    ///
    /// # Panics
    /// If the command fails.
    pub fn parcel_rows(&self, command: &str) -> Vec<String> {
        let pods = self.pods("parcel-");
        let is_app =
            |name: &&String| self.object("pod", name)["metadata"]["labels"]["app"] == "parcel";
        let pod = pods.iter().find(is_app).expect("the app runs");
        let url = format!("DATABASE_URL={}", super::variable("DATABASE_URL").unwrap_or_default());
        let output = Command::new("kubectl")
            .args(["--context", self.context(), "--namespace", self.namespace()])
            .args(["exec", pod, "--", "env", &url, "python3", "-c", ROWS, command])
            .output()
            .expect("kubectl is in PATH");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the rows of the parcel: {said}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}
