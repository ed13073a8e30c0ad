//! Rows about pods and containers: resources, probes, images and privileges.

use crate::judgement::Judgement;
use crate::location::Location;
use crate::project::FILE;
use crate::release::{Container, Release, Workload};
use serde_json::Value;

/// Resources that each container must set. A CPU limit is not required: it only slows a container down.
const REQUIRED: [&str; 3] = ["requests/cpu", "requests/memory", "limits/memory"];

/// Each container sets its resource requests and its memory limit.
pub fn resources(release: &Release) -> Judgement {
    let mut judgement = Judgement::or_not_judged("the release runs no containers");
    for workload in release.workloads() {
        for container in workload.all_containers() {
            let resources = &container.value["resources"];
            let missing: Vec<&str> = REQUIRED
                .into_iter()
                .filter(|path| resources.pointer(&format!("/{path}")).is_none_or(Value::is_null))
                .collect();
            let location =
                release.location(workload.object, format!("{}/resources", container.pointer));
            if missing.is_empty() {
                let values = REQUIRED.map(|path| {
                    let value = resources.pointer(&format!("/{path}"));
                    format!("{path} {}", plain(value.unwrap_or(&Value::Null)))
                });
                judgement.evidence(&location, values.join(", "));
            } else {
                let message = format!("{} has no {}", container.name(), missing.join(", no "));
                judgement.fault(&location, message);
            }
        }
    }
    judgement
}

/// Each container that listens on a port has a liveness and a readiness probe.
pub fn probes(release: &Release) -> Judgement {
    let mut judgement = Judgement::or_not_judged("no container of the release listens on a port");
    for workload in release.workloads().filter(Workload::is_long_running) {
        let is_called = release
            .of_kind("Service")
            .any(|service| workload.is_selected(&service["spec"]["selector"]));
        let alone = workload.containers().count() == 1;
        for container in workload.containers() {
            let needs_probes = container.listens() || (is_called && alone);
            if !needs_probes {
                continue;
            }
            let missing: Vec<&str> = ["livenessProbe", "readinessProbe"]
                .into_iter()
                .filter(|probe| !has_handler(&container.value[probe]))
                .collect();
            let location = release.location(workload.object, container.pointer.clone());
            if missing.is_empty() {
                let probes = ["livenessProbe", "readinessProbe"]
                    .map(|probe| format!("{probe} {}", target(&container.value[probe])));
                judgement.evidence(&location, probes.join(", "));
            } else {
                let message = format!("{} has no {}", container.name(), missing.join(", no "));
                judgement.fault(&location, message);
            }
        }
    }
    judgement
}

const HANDLERS: [&str; 4] = ["httpGet", "tcpSocket", "grpc", "exec"];

fn has_handler(probe: &Value) -> bool {
    HANDLERS.iter().any(|handler| probe[handler].is_object())
}

/// The probe's HTTP path, or else the name of its handler.
fn target(probe: &Value) -> String {
    match probe["httpGet"]["path"].as_str() {
        Some(path) => path.to_owned(),
        None => {
            let found = HANDLERS.into_iter().find(|handler| probe[handler].is_object());
            found.unwrap_or("").to_owned()
        }
    }
}

/// The chart runs every image that the project builds.
pub fn one_chart(release: &Release) -> Judgement {
    let mut judgement = Judgement::or_not_judged("the project builds no image");
    for image in &release.images {
        let user = release.workloads().find_map(|workload| {
            let container = workload
                .all_containers()
                .find(|container| container.value["image"].as_str() == Some(&image.reference))?;
            Some(release.location(workload.object, format!("{}/image", container.pointer)))
        });
        match user {
            Some(location) => judgement.evidence(&location, format!("runs {}", image.name)),
            None => {
                let location =
                    Location::value(FILE, format!("/images/{}", image.name.replace('/', "~1")));
                judgement
                    .fault(&location, format!("no rendered object uses the image {}", image.name));
            }
        }
    }
    judgement
}

/// No pod has privileges on its node, and no container runs as root. If a pod sets no user, the image's user counts. It
/// is known only for images that the project builds: the row `non-root` checks their Dockerfiles.
pub fn security(release: &Release) -> Judgement {
    let mut judgement = Judgement::or_not_judged("the release runs no pods");
    for workload in release.workloads() {
        let (pod, pointer) = (workload.pod(), workload.pointer());
        let mut rights: Vec<(String, String)> = Vec::new();
        for right in ["hostNetwork", "hostPID", "hostIPC"] {
            if pod[right] == true {
                rights.push((format!("{pointer}/{right}"), format!("the pod sets {right}")));
            }
        }
        let volumes = pod["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, volume) in volumes.iter().enumerate() {
            if volume["hostPath"].is_object() {
                let pointer = format!("{pointer}/volumes/{index}/hostPath");
                rights.push((pointer, "the pod mounts a path of its node".to_owned()));
            }
        }
        for container in workload.all_containers() {
            rights.extend(root_user(release, pod, &container));
            rights.extend(privileges(&container));
        }
        if rights.is_empty() {
            let mut users = workload.all_containers().map(|container| user(pod, &container));
            let message = if users.any(|user| user == User::OfImage) {
                "no privileges on the node; the row Non-root user checks the image's user"
            } else {
                "not root, and no privileges on the node"
            };
            judgement.evidence(&release.location(workload.object, pointer), message);
        }
        for (pointer, message) in rights {
            judgement.fault(&release.location(workload.object, pointer), message);
        }
    }
    judgement
}

/// The user that a container runs as.
#[derive(PartialEq)]
enum User {
    Root,
    NonRoot,
    /// The image's own user: root, unless the image sets another.
    OfImage,
}

/// The container's securityContext overrides that of its pod.
fn user(pod: &Value, container: &Container<'_>) -> User {
    let setting = |field: &str| {
        let own = &container.value["securityContext"][field];
        if own.is_null() { &pod["securityContext"][field] } else { own }
    };
    match setting("runAsUser").as_u64() {
        Some(0) => User::Root,
        Some(_) => User::NonRoot,
        None if *setting("runAsNonRoot") == true => User::NonRoot,
        None => User::OfImage,
    }
}

fn root_user(
    release: &Release,
    pod: &Value,
    container: &Container<'_>,
) -> Option<(String, String)> {
    let (name, pointer) = (container.name(), &container.pointer);
    match user(pod, container) {
        User::Root => {
            Some((format!("{pointer}/securityContext/runAsUser"), format!("{name} runs as root")))
        }
        User::OfImage if !release.builds(container) => Some((
            format!("{pointer}/image"),
            format!(
                "{name} may run as root: the pod sets no user, and the project does not build its image"
            ),
        )),
        _ => None,
    }
}

fn privileges(container: &Container<'_>) -> Vec<(String, String)> {
    let own = &container.value["securityContext"];
    let (name, pointer) = (container.name(), format!("{}/securityContext", container.pointer));
    let mut rights = Vec::new();
    for right in ["privileged", "allowPrivilegeEscalation"] {
        if own[right] == true {
            rights.push((format!("{pointer}/{right}"), format!("{name} sets {right}")));
        }
    }
    let added = own["capabilities"]["add"].as_array().map(Vec::as_slice).unwrap_or_default();
    if added.iter().any(|capability| capability == "ALL" || capability == "SYS_ADMIN") {
        rights.push((
            format!("{pointer}/capabilities/add"),
            format!("{name} adds capabilities that amount to root"),
        ));
    }
    rights
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
