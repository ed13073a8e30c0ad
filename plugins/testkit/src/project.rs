//! A project for one test: `todohost.toml`, a chart, build contexts, and a home folder.
//!
//! Owns the temporary folders, which are deleted on drop. The project is minimal: one image, one Deployment with its
//! Service, and one Secret.

use std::path::{Path, PathBuf};

/// `todohost.toml` of [`Project::shop`].
const PROJECT: &str = r#"[app]
name = "shop"
namespace = "shop"
chart = "chart"

[images.shop-web]
context = "web"
values = { "image.repository" = "{name}", "image.tag" = "{tag}" }

[secrets]
"secrets.databaseUrl" = { required = true }
"secrets.apiKey" = {}
"#;

const CHART: &str = r"apiVersion: v2
name: shop
version: 0.1.0
appVersion: '1'
";

const VALUES: &str = r"replicas: 1
greeting: hello
image:
  repository: shop-web
  tag: latest
  pullPolicy: Never
service:
  type: ClusterIP
  port: 8000
secrets:
  databaseUrl: ''
  apiKey: ''
";

const SCHEMA: &str = r#"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "properties": {
    "replicas": { "type": "integer", "minimum": 1, "maximum": 5 },
    "greeting": { "type": "string" }
  }
}
"#;

const SECRET: &str = r#"apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-secrets
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
type: Opaque
data:
  DATABASE_URL: {{ required "secrets.databaseUrl is required" .Values.secrets.databaseUrl | b64enc | quote }}
  {{- with .Values.secrets.apiKey }}
  API_KEY: {{ . | b64enc | quote }}
  {{- end }}
"#;

const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-web
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      app: {{ .Release.Name }}-web
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}-web
      annotations:
        checksum/secrets: {{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}
    spec:
      containers:
        - name: web
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          ports:
            - name: http
              containerPort: 8000
          env:
            - name: GREETING
              value: {{ .Values.greeting | quote }}
          envFrom:
            - secretRef:
                name: {{ .Release.Name }}-secrets
          readinessProbe:
            httpGet:
              path: /health
              port: http
          resources:
            requests: { cpu: 50m, memory: 32Mi }
            limits: { cpu: 200m, memory: 64Mi }
"#;

const SERVICE: &str = r"apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-web
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
spec:
  type: {{ .Values.service.type }}
  selector:
    app: {{ .Release.Name }}-web
  ports:
    - name: http
      port: {{ .Values.service.port }}
      targetPort: http
";

const DOCKERFILE: &str = "FROM scratch\nCOPY server /server\nCMD [\"/server\"]\n";

/// A project and a home folder, in a temporary folder.
#[derive(Debug)]
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// A project without files.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let project = Self { folder };
        for folder in [project.root(), project.home().join(".kube")] {
            std::fs::create_dir_all(folder).expect("a folder can be created");
        }
        project
    }

    /// A minimal complete project named `shop`.
    pub fn shop() -> Self {
        let project = Self::empty();
        for (path, content) in [
            ("todohost.toml", PROJECT),
            ("chart/Chart.yaml", CHART),
            ("chart/values.yaml", VALUES),
            ("chart/values.schema.json", SCHEMA),
            ("chart/templates/secret.yaml", SECRET),
            ("chart/templates/deployment.yaml", DEPLOYMENT),
            ("chart/templates/service.yaml", SERVICE),
            ("web/Dockerfile", DOCKERFILE),
            ("web/server", "serve\n"),
        ] {
            project.write(path, content);
        }
        project
    }

    /// Folder of the project.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The user's home folder, with the configuration, the cache and the kubeconfig.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Path of the kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home().join(".kube").join("config")
    }

    /// The temporary folder that contains the project and the home folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the project, and creates its folders.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder can be created");
        }
        std::fs::write(path, content).expect("a file can be written");
    }

    /// Reads a file of the project.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).expect("the file exists")
    }

    /// Replaces `from`, which the file must contain, by `to`.
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let content = self.read(path);
        assert!(content.contains(from), "{path} does not contain {from:?}");
        self.write(path, &content.replace(from, to));
    }

    /// Appends to a file.
    pub fn append(&self, path: &str, content: &str) {
        self.write(path, &format!("{}{content}", self.read(path)));
    }
}
