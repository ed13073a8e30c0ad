//! What pods and containers say of themselves: what they need, how they are asked, and which rights they have.

use crate::judgement::Judgement;
use crate::place::Place;
use crate::project::FILE;
use crate::release::{Container, Release, Workload};
use serde_json::Value;

/// What a container says of the memory and processor that it needs; a limit of the processor only slows it down.
const NEEDS: [&str; 3] = ["requests/cpu", "requests/memory", "limits/memory"];

/// Each container says what it needs at least and at most.
pub fn resources(release: &Release) -> Judgement {
    let mut judgement = Judgement::unless("the release runs no containers");
    for workload in release.workloads() {
        for container in workload.all_containers() {
            let resources = &container.value["resources"];
            let missing: Vec<&str> = NEEDS
                .into_iter()
                .filter(|need| resources.pointer(&format!("/{need}")).is_none_or(Value::is_null))
                .collect();
            let place = release.place(workload.object, format!("{}/resources", container.pointer));
            if missing.is_empty() {
                let said = NEEDS.map(|need| {
                    let value = resources.pointer(&format!("/{need}"));
                    format!("{need} {}", plain(value.unwrap_or(&Value::Null)))
                });
                judgement.evidence(&place, said.join(", "));
            } else {
                let message = format!("{} has no {}", container.name(), missing.join(", no "));
                judgement.fault(&place, message);
            }
        }
    }
    judgement
}

/// Each container that listens is asked whether it lives and whether it is ready.
pub fn probes(release: &Release) -> Judgement {
    let mut judgement = Judgement::unless("no container of the release listens");
    for workload in release.workloads().filter(Workload::stays) {
        let is_called = release
            .of_kind("Service")
            .any(|service| workload.is_selected(&service["spec"]["selector"]));
        let alone = workload.containers().count() == 1;
        for container in workload.containers() {
            let has_to_answer = container.listens() || (is_called && alone);
            if !has_to_answer {
                continue;
            }
            let missing: Vec<&str> = ["livenessProbe", "readinessProbe"]
                .into_iter()
                .filter(|probe| !asks(&container.value[probe]))
                .collect();
            let place = release.place(workload.object, container.pointer.clone());
            if missing.is_empty() {
                let said = ["livenessProbe", "readinessProbe"]
                    .map(|probe| format!("{probe} {}", target(&container.value[probe])));
                judgement.evidence(&place, said.join(", "));
            } else {
                let message = format!("{} has no {}", container.name(), missing.join(", no "));
                judgement.fault(&place, message);
            }
        }
    }
    judgement
}

const ASKED_BY: [&str; 4] = ["httpGet", "tcpSocket", "grpc", "exec"];

fn asks(probe: &Value) -> bool {
    ASKED_BY.iter().any(|way| probe[way].is_object())
}

/// What a probe asks, in short.
fn target(probe: &Value) -> String {
    match probe["httpGet"]["path"].as_str() {
        Some(path) => path.to_owned(),
        None => ASKED_BY.into_iter().find(|way| probe[way].is_object()).unwrap_or("").to_owned(),
    }
}

/// One chart runs all that the project builds.
pub fn one_chart(release: &Release) -> Judgement {
    let mut judgement = Judgement::unless("the project builds no image");
    for image in &release.images {
        let user = release.workloads().find_map(|workload| {
            let container = workload
                .all_containers()
                .find(|container| container.value["image"].as_str() == Some(&image.reference))?;
            Some(release.place(workload.object, format!("{}/image", container.pointer)))
        });
        match user {
            Some(place) => judgement.evidence(&place, format!("runs {}", image.name)),
            None => {
                let place =
                    Place::value(FILE, format!("/images/{}", image.name.replace('/', "~1")));
                judgement.fault(&place, format!("{} is built, and no object runs it", image.name));
            }
        }
    }
    judgement
}

/// No pod has rights over its node, and no container is its root. Whom an image names is only known of those that the
/// project builds: another row judges their recipes.
pub fn security(release: &Release) -> Judgement {
    let mut judgement = Judgement::unless("the release runs no pods");
    for workload in release.workloads() {
        let (pod, pointer) = (workload.pod(), workload.pointer());
        let mut rights: Vec<(String, String)> = Vec::new();
        for right in ["hostNetwork", "hostPID", "hostIPC"] {
            if pod[right] == true {
                rights.push((format!("{pointer}/{right}"), format!("the pod has {right}")));
            }
        }
        let volumes = pod["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, volume) in volumes.iter().enumerate() {
            if volume["hostPath"].is_object() {
                let pointer = format!("{pointer}/volumes/{index}/hostPath");
                rights.push((pointer, "the pod mounts a folder of its node".to_owned()));
            }
        }
        for container in workload.all_containers() {
            rights.extend(of_user(release, pod, &container));
            rights.extend(of_container(&container));
        }
        if rights.is_empty() {
            let mut users = workload.all_containers().map(|container| user(pod, &container));
            let told = if users.any(|user| user == User::OfImage) {
                "no rights over the node; who runs it is judged where its image is built"
            } else {
                "neither root nor rights over the node"
            };
            judgement.evidence(&release.place(workload.object, pointer), told);
        }
        for (pointer, message) in rights {
            judgement.fault(&release.place(workload.object, pointer), message);
        }
    }
    judgement
}

/// Who runs a container.
#[derive(PartialEq)]
enum User {
    Root,
    /// Somebody else than root.
    Other,
    /// Whom the image names; where it names nobody, that is root.
    OfImage,
}

/// What a container says goes before what its pod says.
fn user(pod: &Value, container: &Container<'_>) -> User {
    let said = |field: &str| {
        let own = &container.value["securityContext"][field];
        if own.is_null() { &pod["securityContext"][field] } else { own }
    };
    match said("runAsUser").as_u64() {
        Some(0) => User::Root,
        Some(_) => User::Other,
        None if *said("runAsNonRoot") == true => User::Other,
        None => User::OfImage,
    }
}

fn of_user(release: &Release, pod: &Value, container: &Container<'_>) -> Option<(String, String)> {
    let (name, pointer) = (container.name(), &container.pointer);
    match user(pod, container) {
        User::Root => {
            Some((format!("{pointer}/securityContext/runAsUser"), format!("{name} runs as root")))
        }
        User::OfImage if !release.builds(container) => Some((
            format!("{pointer}/image"),
            format!(
                "{name} may run as root: only its image, which is built elsewhere, says who runs it"
            ),
        )),
        _ => None,
    }
}

fn of_container(container: &Container<'_>) -> Vec<(String, String)> {
    let own = &container.value["securityContext"];
    let (name, pointer) = (container.name(), format!("{}/securityContext", container.pointer));
    let mut rights = Vec::new();
    for right in ["privileged", "allowPrivilegeEscalation"] {
        if own[right] == true {
            rights.push((format!("{pointer}/{right}"), format!("{name} has {right}")));
        }
    }
    let added = own["capabilities"]["add"].as_array().map(Vec::as_slice).unwrap_or_default();
    if added.iter().any(|capability| capability == "ALL" || capability == "SYS_ADMIN") {
        rights.push((
            format!("{pointer}/capabilities/add"),
            format!("{name} may do all that root may"),
        ));
    }
    rights
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
