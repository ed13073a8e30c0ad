//! Dockerfiles as people write them in other ecosystems: the rows judge them as their authors mean them.

use super::rows;
use super::world::World;
use todohost_plugin::Outcome;

/// The rows that fail where this recipe takes the place of a good one; `files` are in its context.
fn failing(recipe: &str, files: &[&str]) -> Vec<String> {
    let mut world = World::fixture("shop");
    world.write("web/Dockerfile", recipe);
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
fn a_server_that_is_built_from_copied_packages() {
    assert_eq!(failing(NEXT, &[]), [""; 0]);
    // The packages of one stage come by another, with what only builds need.
    let all = NEXT.replace("/app/.next/standalone ./", "/app ./");
    assert_eq!(failing(&all, &[]), ["no-dev-dependencies"]);
}

#[test]
fn packages_of_a_stage_of_their_own() {
    let recipe = r"FROM node:22-slim AS base
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
    assert_eq!(failing(recipe, &[]), [""; 0]);
    let swapped = recipe.replace("--from=production", "--from=build");
    assert_eq!(failing(&swapped, &[]), ["no-dev-dependencies"]);
}

#[test]
fn a_rust_program() {
    let recipe = r"ARG RUST=1.95
FROM rust:${RUST}-slim AS chef
RUN cargo install cargo-chef
WORKDIR /build
FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json
FROM chef AS builder
COPY --from=planner /build/recipe.json recipe.json
RUN cargo chef cook --release --recipe-path recipe.json
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
    assert_eq!(failing(recipe, &["Cargo.toml", "Cargo.lock", "src/main.rs"]), [""; 0]);
    let at_once = "FROM rust:1.95-slim AS builder\nCOPY . .\nRUN cargo build --release\n\
        FROM scratch\nCOPY --from=builder /app /app\nUSER 1\nEXPOSE 80\n";
    assert_eq!(failing(at_once, &["Cargo.lock"]), ["dependency-layer"]);
}

#[test]
fn a_java_program() {
    let recipe = r#"FROM eclipse-temurin:25-jdk AS build
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
    assert_eq!(failing(recipe, &["pom.xml", ".mvn/wrapper/maven-wrapper.properties"]), [""; 0]);
    assert_eq!(failing(&recipe.replace("25-jre-alpine", "25-jre"), &[]), ["slim-base"]);
}

#[test]
fn pages_behind_a_server_that_is_not_root() {
    let recipe = r"FROM node:22 AS build
WORKDIR /site
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
RUN npm run build
FROM nginxinc/nginx-unprivileged:alpine-slim
COPY --from=build /site/dist /usr/share/nginx/html
EXPOSE 8080
";
    assert_eq!(failing(recipe, &[]), [""; 0]);
    let root = recipe.replace("nginxinc/nginx-unprivileged", "nginx");
    assert_eq!(failing(&root, &[]), ["non-root"]);
}

#[test]
fn a_python_program_of_one_stage() {
    let recipe = r"FROM python:3.13-slim
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements.txt,target=requirements.txt \
    python -m pip install -r requirements.txt
USER 10001
COPY . .
EXPOSE 8000
CMD python -m app
";
    assert_eq!(failing(recipe, &["requirements.txt"]), ["multi-stage"]);
}

#[test]
fn no_beginning_of_a_recipe_ends_the_check() {
    for end in (0..NEXT.len()).step_by(5) {
        let mut world = World::fixture("shop");
        world.write("web/Dockerfile", &NEXT[..end]);
        assert_eq!(world.judge().len(), 17);
    }
}
