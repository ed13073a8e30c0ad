//! Typical Dockerfiles of several ecosystems give the expected rows.

use super::rows;
use super::world::World;
use todohost_plugin::Outcome;

/// The rows that fail when this Dockerfile replaces a good one, with `files` added to its context.
fn failing(dockerfile: &str, files: &[&str]) -> Vec<String> {
    let mut world = World::fixture("shop");
    world.write("web/Dockerfile", dockerfile);
    for file in files {
        world.write(&format!("web/{file}"), "x");
    }
    rows(&world.judge(), Outcome::Failed).into_iter().map(str::to_owned).collect()
}

const NEXT: &str = r#"# syntax=docker.io/docker/dockerfile:1
FROM node:22-alpine AS base

FROM base AS deps
RUN apk add --no-cache libc6-compat
WORKDIR /app
COPY package.json yarn.lock* package-lock.json* .npmrc* ./
RUN \
  if [ -f yarn.lock ]; then yarn --frozen-lockfile; \
  elif [ -f package-lock.json ]; then npm ci; \
  else echo "Lockfile not found." && exit 1; \
  fi

FROM base AS builder
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY . .
RUN npm run build

FROM base AS runner
WORKDIR /app
ENV NODE_ENV=production
RUN addgroup --system --gid 1001 nodejs && adduser --system --uid 1001 nextjs
COPY --from=builder /app/public ./public
COPY --from=builder --chown=nextjs:nodejs /app/.next/standalone ./
USER nextjs
EXPOSE 3000
CMD ["node", "server.js"]
"#;

#[test]
fn next_js_standalone_server() {
    assert_eq!(failing(NEXT, &[]), [""; 0]);
    // Copies the whole build stage with the packages of the first stage, dev dependencies included.
    let all = NEXT.replace("/app/.next/standalone ./", "/app ./");
    assert_eq!(failing(&all, &[]), ["no-dev-dependencies"]);
}

#[test]
fn production_packages_in_their_own_stage() {
    let dockerfile = r"FROM node:22-slim AS base
WORKDIR /app
COPY package*.json ./
FROM base AS production
RUN npm ci --omit=dev
FROM base AS build
RUN npm ci
COPY . .
RUN npm run build
FROM node:22-slim
WORKDIR /app
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
EXPOSE 3000
";
    assert_eq!(failing(dockerfile, &[]), [""; 0]);
    let swapped = dockerfile.replace("--from=production", "--from=build");
    assert_eq!(failing(&swapped, &[]), ["no-dev-dependencies"]);
}

#[test]
fn rust_program() {
    let dockerfile = r"ARG RUST=1.95
FROM rust:${RUST}-slim AS chef
RUN cargo install cargo-chef
WORKDIR /build
FROM chef AS planner
COPY . .
RUN cargo chef prepare --dockerfile-path dockerfile.json
FROM chef AS builder
COPY --from=planner /build/dockerfile.json dockerfile.json
RUN cargo chef cook --release --dockerfile-path dockerfile.json
COPY . .
RUN cargo build --release
FROM debian:bookworm-slim
RUN <<EOF
useradd --system --uid 10001 app
EOF
COPY --from=builder /build/target/release/app /usr/local/bin/
USER app
EXPOSE 8080
";
    assert_eq!(failing(dockerfile, &["Cargo.toml", "Cargo.lock", "src/main.rs"]), [""; 0]);
    let at_once = "FROM rust:1.95-slim AS builder\nCOPY . .\nRUN cargo build --release\n\
        FROM scratch\nCOPY --from=builder /app /app\nUSER 1\nEXPOSE 80\n";
    assert_eq!(failing(at_once, &["Cargo.lock"]), ["dependency-layer"]);
}

#[test]
fn java_program() {
    let dockerfile = r#"FROM eclipse-temurin:25-jdk AS build
WORKDIR /src
COPY pom.xml mvnw ./
COPY .mvn .mvn
RUN ./mvnw dependency:go-offline
COPY src src
RUN ./mvnw package -DskipTests
FROM eclipse-temurin:25-jre-alpine
COPY --from=build /src/target/app.jar /app.jar
USER 10001
EXPOSE 8080/tcp
ENTRYPOINT ["java", "-jar", "/app.jar"]
"#;
    assert_eq!(failing(dockerfile, &["pom.xml", ".mvn/wrapper/maven-wrapper.properties"]), [""; 0]);
    assert_eq!(failing(&dockerfile.replace("25-jre-alpine", "25-jre"), &[]), ["slim-base"]);
}

#[test]
fn static_pages_with_an_unprivileged_server() {
    let dockerfile = r"FROM node:22 AS build
WORKDIR /site
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
RUN npm run build
FROM nginxinc/nginx-unprivileged:alpine-slim
COPY --from=build /site/dist /usr/share/nginx/html
EXPOSE 8080
";
    assert_eq!(failing(dockerfile, &[]), [""; 0]);
    let root = dockerfile.replace("nginxinc/nginx-unprivileged", "nginx");
    assert_eq!(failing(&root, &[]), ["non-root"]);
}

#[test]
fn single_stage_python_program() {
    let dockerfile = r"FROM python:3.13-slim
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements.txt,target=requirements.txt \
    python -m pip install -r requirements.txt
USER 10001
COPY . .
EXPOSE 8000
CMD python -m app
";
    assert_eq!(failing(dockerfile, &["requirements.txt"]), ["multi-stage"]);
}

#[test]
fn truncated_dockerfiles_do_not_stop_the_check() {
    for end in (0..NEXT.len()).step_by(5) {
        let mut world = World::fixture("shop");
        world.write("web/Dockerfile", &NEXT[..end]);
        assert_eq!(world.judge().len(), 17);
    }
}
