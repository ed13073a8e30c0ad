//! The good project with one edit, each of which breaks exactly one row.

use super::rows;
use super::world::World;
use todohost_plugin::Outcome;

const API: &str = "api/Dockerfile";
const WEB: &str = "web/Dockerfile";
const OBJECTS: &str = "rendered.yaml";

/// One edit of a file.
enum Edit {
    Replace(&'static str, &'static str, &'static str),
    Remove(&'static str),
    Write(&'static str, &'static str),
}
use Edit::{Remove, Replace, Write};

fn edited(edits: &[Edit]) -> World {
    let mut world = World::fixture("shop");
    for edit in edits {
        match edit {
            Replace(path, old, new) => world.replace(path, old, new),
            Remove(path) => world.remove(path),
            Write(path, text) => world.write(path, text),
        }
    }
    world
}

/// Exactly this row fails.
fn assert_breaks(row: &str, edits: &[Edit]) {
    let findings = edited(edits).judge();
    assert_eq!(rows(&findings, Outcome::Failed), [row], "{findings:#?}");
}

/// Nothing fails.
fn assert_keeps(edits: &[Edit]) {
    let findings = edited(edits).judge();
    assert_eq!(rows(&findings, Outcome::Failed), [""; 0], "{findings:#?}");
}

#[test]
fn dockerfile() {
    assert_breaks("dockerfile", &[Remove(API)]);
    assert_breaks("dockerfile", &[Write(API, "this is not a Dockerfile\n")]);
    assert_breaks(
        "dockerfile",
        &[Replace("todohost.toml", "\"api\"\n", "\"api\"\nstage = \"none\"\n")],
    );
}

#[test]
fn multi_stage() {
    let second = "FROM python:3.13-slim\nWORKDIR /app\n";
    assert_breaks(
        "multi-stage",
        &[Replace(API, second, ""), Replace(API, "COPY --from=builder /app/.venv ./.venv\n", "")],
    );
    assert_breaks(
        "multi-stage",
        &[Replace(WEB, "COPY --from=builder /app/dist ./dist", "COPY src ./dist")],
    );
}

#[test]
fn slim_base() {
    assert_breaks("slim-base", &[Replace(API, "FROM python:3.13-slim\n", "FROM python:3.13\n")]);
    assert_breaks("slim-base", &[Replace(WEB, "FROM node:22-slim\n", "FROM ${BASE}\n")]);
    assert_keeps(&[Replace(WEB, "FROM node:22-slim AS", "FROM node:22 AS")]);
}

#[test]
fn dependency_layer() {
    assert_breaks(
        "dependency-layer",
        &[Replace(API, "COPY pyproject.toml uv.lock ./", "COPY . .")],
    );
    let (copy, install) = ("COPY src ./src\n", "RUN npm ci\n");
    assert_breaks(
        "dependency-layer",
        &[Replace(WEB, copy, ""), Replace(WEB, install, "COPY src ./src\nRUN npm ci\n")],
    );
    let go = "FROM golang:1.26 AS builder\nCOPY . .\nRUN go build -o /web\nFROM scratch\nCOPY --from=builder /web /\nUSER 1\nEXPOSE 1\n";
    assert_breaks("dependency-layer", &[Write(WEB, go), Write("web/go.sum", "x")]);
}

#[test]
fn no_dev_dependencies() {
    assert_breaks("no-dev-dependencies", &[Replace(API, " --no-dev", "")]);
    assert_breaks("no-dev-dependencies", &[Replace(WEB, "/app/dist ./dist", "/app ./")]);
    assert_breaks("no-dev-dependencies", &[Replace(WEB, "USER node", "RUN npm ci\nUSER node")]);
    assert_keeps(&[
        Replace(WEB, "/app/dist ./dist", "/app ./"),
        Replace(WEB, "npm run build", "npm run build && npm prune --omit=dev"),
    ]);
}

#[test]
fn no_baked_secrets() {
    let row = "no-baked-secrets";
    assert_breaks(
        row,
        &[Replace(API, "ENV PYTHONUNBUFFERED=1", "ENV PYTHONUNBUFFERED=1 JWT_SECRET=x")],
    );
    assert_breaks(row, &[Replace(API, "ENV PYTHONUNBUFFERED=1", "ARG NPM_TOKEN")]);
    assert_breaks(row, &[Replace(API, "COPY src ./src", "COPY .env src ./")]);
    assert_breaks(row, &[Replace(API, "RUN uv", "RUN UV_INDEX=https://me:pw@example.com uv")]);
    assert_breaks(row, &[Write("api/src/server.key", "x")]);
    assert_breaks(
        row,
        &[Replace(API, "RUN pip install", "RUN pip install -i https://me:pw@pypi.example.com")],
    );
    assert_breaks(
        row,
        &[Replace("chart/values.yaml", "databaseUrl: \"\"", "databaseUrl: postgres")],
    );
    assert_breaks(
        row,
        &[Replace(
            "todohost.toml",
            "context = \"api\"\n",
            "context = \"api\"\narguments = { API_KEY = \"x\" }\n",
        )],
    );
    assert_keeps(&[Write("api/src/server.key", "x"), Write("api/.dockerignore", "**/*.key\n")]);
    assert_keeps(&[Write("api/.env", "A=1")]);
}

#[test]
fn expose() {
    assert_breaks("expose", &[Replace(API, "EXPOSE 8000\n", "")]);
}

#[test]
fn chart() {
    assert_breaks("chart", &[Remove("chart/Chart.yaml")]);
    assert_breaks("chart", &[Replace("chart/Chart.yaml", "version: 1.0.0\n", "")]);
    assert_breaks("chart", &[Remove("chart/values.yaml")]);
    assert_breaks("chart", &[Write("chart/values.yaml", "a: [\n")]);
    assert_breaks(
        "chart",
        &[
            Remove("chart/templates/api.yaml"),
            Remove("chart/templates/web.yaml"),
            Remove("chart/templates/secret.yaml"),
        ],
    );
}

#[test]
fn resources() {
    assert_breaks(
        "resources",
        &[Replace(OBJECTS, "            limits:\n              memory: 128Mi\n", "")],
    );
    assert_breaks("resources", &[Replace(OBJECTS, "cpu: 50m", "cpu: null")]);
}

#[test]
fn probes() {
    assert_breaks("probes", &[Replace(OBJECTS, "readinessProbe", "startupProbe")]);
    assert_breaks(
        "probes",
        &[Replace(
            OBJECTS,
            "            tcpSocket:\n              port: http\n",
            "            periodSeconds: 1\n",
        )],
    );
}

#[test]
fn services() {
    assert_breaks("services", &[Replace(OBJECTS, "type: ClusterIP", "type: NodePort")]);
    assert_breaks("services", &[Replace(OBJECTS, "type: ClusterIP", "type: Internal")]);
    assert_breaks(
        "services",
        &[Replace(OBJECTS, "    app: web\n  ports", "    app: site\n  ports")],
    );
    let closed = Replace(OBJECTS, "type: NodePort", "type: ClusterIP");
    assert_keeps(&[closed]);
    assert_breaks("services", &[Replace(OBJECTS, "targetPort: http", "targetPort: grpc")]);
}

#[test]
fn services_with_swapped_types() {
    let closed = Replace(OBJECTS, "type: NodePort", "type: ClusterIP");
    let opened = Replace(OBJECTS, "type: ClusterIP", "type: NodePort");
    let world = edited(&[closed, opened]);
    let findings = world.judge();
    assert_eq!(rows(&findings, Outcome::Failed), ["services"], "{findings:#?}");
    let found = findings.iter().find(|finding| finding.outcome == Outcome::Failed).unwrap();
    assert_eq!(
        found.message,
        "NodePort exposes it outside the cluster, but its caller shop-web is not exposed"
    );
}

#[test]
fn secrets() {
    let referred = "valueFrom:\n                secretKeyRef:\n                  name: shop-secrets\n                  key: DATABASE_URL\n";
    assert_breaks(
        "secrets",
        &[Replace(OBJECTS, referred, "value: postgresql://shop:pw@db/shop\n")],
    );
    assert_breaks(
        "secrets",
        &[Replace(
            OBJECTS,
            "- name: API_URL\n              value: http://shop-api:8000",
            "- name: API_TOKEN\n              value: x",
        )],
    );
    assert_breaks(
        "secrets",
        &[
            Replace(OBJECTS, "kind: Secret", "kind: ConfigMap"),
            Replace(OBJECTS, referred, "value: \"\"\n"),
        ],
    );
    assert_breaks(
        "secrets",
        &[Replace(OBJECTS, "kind: Secret\n", "kind: ConfigMap\ndata:\n  apiKey: x\n")],
    );
}

#[test]
fn non_root() {
    assert_breaks("non-root", &[Replace(API, "USER 10001:10001", "USER root")]);
    assert_breaks("non-root", &[Replace(API, "USER 10001:10001", "USER 1\nUSER 0:0")]);
    assert_breaks("non-root", &[Replace(API, "USER 10001:10001\n", "")]);
    assert_breaks(
        "non-root",
        &[Replace(API, "USER 10001:10001", "ARG APP_USER=root\nUSER $APP_USER")],
    );
    assert_breaks("non-root", &[Replace(API, "USER 10001:10001", "ARG APP_USER\nUSER $APP_USER")]);
}

#[test]
fn security() {
    assert_breaks("security", &[Replace(OBJECTS, "runAsUser: 10001", "runAsUser: 0")]);
    assert_breaks(
        "security",
        &[Replace(
            OBJECTS,
            "- name: web\n",
            "- name: web\n          securityContext: { privileged: true }\n",
        )],
    );
    assert_breaks(
        "security",
        &[Replace(
            OBJECTS,
            "      securityContext:\n",
            "      hostNetwork: true\n      securityContext:\n",
        )],
    );
}

#[test]
fn image_of_another_project_counts_as_root() {
    let (web, api) = ("image: shop-web:1", "image: shop-api:1");
    let prefix = "image: nginx:1\n          securityContext: ";
    assert_breaks("security", &[Replace(OBJECTS, web, "image: nginx:1")]);
    for (context, keeps) in [
        ("{ runAsNonRoot: true }", true),
        ("{ runAsUser: 101 }", true),
        ("{ runAsNonRoot: false }", false),
        ("{ runAsUser: 0, runAsNonRoot: true }", false),
        ("{ readOnlyRootFilesystem: true }", false),
    ] {
        let edited = format!("{prefix}{context}");
        let edit = || Replace(OBJECTS, web, edited.clone().leak());
        if keeps { assert_keeps(&[edit()]) } else { assert_breaks("security", &[edit()]) }
    }
    // The pod's securityContext applies to all its containers unless a container overrides it.
    assert_keeps(&[Replace(OBJECTS, api, "image: nginx:1")]);
    let of_pod = || Replace(OBJECTS, "runAsUser: 10001", "runAsNonRoot: true");
    assert_keeps(&[of_pod(), Replace(OBJECTS, api, "image: nginx:1")]);
    assert_breaks(
        "security",
        &[
            of_pod(),
            Replace(
                OBJECTS,
                api,
                "image: nginx:1\n          securityContext: { runAsNonRoot: false }",
            ),
        ],
    );
}

#[test]
fn simplicity_only_warns() {
    let other = "image: shop-web:2\n          securityContext: { runAsNonRoot: true }";
    let findings = edited(&[Replace(OBJECTS, "image: shop-web:1", other)]).judge();
    assert_eq!(rows(&findings, Outcome::Warning), ["simplicity"]);
    assert_eq!(rows(&findings, Outcome::Failed), [""; 0]);
}

#[test]
fn findings_contain_no_secrets() {
    let referred = "value: http://shop-api:8000";
    let world = edited(&[
        Replace(API, "ENV PYTHONUNBUFFERED=1", "ENV JWT_SECRET=canary"),
        Replace(
            API,
            "RUN uv sync",
            "RUN UV_INDEX=https://me:canary@example.com API_KEY=canary uv sync",
        ),
        Replace("chart/values.yaml", "databaseUrl: \"\"", "databaseUrl: canary"),
        Replace(OBJECTS, referred, "value: http://me:canary@shop-api:8000"),
    ]);
    let findings = world.judge();
    assert_eq!(rows(&findings, Outcome::Failed), ["no-baked-secrets", "secrets"]);
    let whole = format!("{findings:?}");
    assert!(!whole.contains("canary"), "{whole}");
}
