//! Readiness of kinds that the cluster itself provides for: volume claims, Services, definitions, budgets.

use std::time::Duration;

use crate::document::{condition, condition_is, list, one_line, text};
use crate::events;
use serde_json::Value;
use todohost_plugin::verify::{Health, Subject, Verdict};

use super::{failed, failing, healthy, or, progressing};

/// A provisioner retries, and the storage class may be created within this time.
const PROVISIONING_PATIENCE: Duration = Duration::from_secs(20);

/// The workload that an autoscaler or budget refers to may be created within this time.
const WORKLOAD_PATIENCE: Duration = Duration::from_secs(20);

pub fn claim(subject: &Subject) -> Verdict {
    const WAITS: [&str; 2] = ["WaitForFirstConsumer", "WaitForPodScheduled"];
    const FAILS: [&str; 2] = ["ProvisioningFailed", "FailedBinding"];
    const WORKS: [&str; 2] = ["Provisioning", "ExternalProvisioning"];
    let object = &subject.object;
    match text(object, "/status/phase") {
        "Bound" => return healthy("bound"),
        "Lost" => return failed("Lost", "its volume no longer exists"),
        _ => {}
    }
    let newest = events::newest(&subject.events, object, &[WAITS, FAILS, WORKS].concat());
    match newest.map(|event| (text(event, "/reason"), text(event, "/message"))) {
        // The wait is for the pod that uses the claim, not for the claim.
        Some((reason, _)) if WAITS.contains(&reason) => Verdict::new(
            Health::NoOpinion,
            "WaitForFirstConsumer",
            "will be bound when a pod uses it",
        ),
        Some((reason, message)) if FAILS.contains(&reason) => {
            failing(reason, format!("not bound: {}", one_line(message)))
                .patience(PROVISIONING_PATIENCE)
        }
        _ => progressing("Pending", "not bound yet"),
    }
}

pub fn service(object: &Value) -> Verdict {
    let has_address = !list(object, "/status/loadBalancer/ingress").is_empty()
        || !list(object, "/spec/externalIPs").is_empty();
    if text(object, "/spec/type") == "LoadBalancer" && !has_address {
        return progressing("NoAddress", "its load balancer has no address yet");
    }
    healthy("exists")
}

pub fn namespace(object: &Value) -> Verdict {
    match text(object, "/status/phase") {
        "Active" => healthy("active"),
        _ => progressing("Pending", "not active yet"),
    }
}

pub fn disruption_budget(object: &Value) -> Verdict {
    if let Some(allowed) = condition(object, "DisruptionAllowed")
        && text(allowed, "/reason") == "SyncFailed"
    {
        let message = format!("its pods cannot be counted: {}", text(allowed, "/message"));
        return failing("SyncFailed", message).patience(WORKLOAD_PATIENCE);
    }
    healthy("exists")
}

/// An autoscaler that gets no metrics counts as ready: in a cluster without a metrics server it would never scale.
pub fn autoscaler(object: &Value) -> Verdict {
    if condition_is(object, "AbleToScale", "False")
        && let Some(able) = condition(object, "AbleToScale")
        && text(able, "/reason") == "FailedGetScale"
    {
        let message = format!("its scale target does not exist: {}", text(able, "/message"));
        return failing("FailedGetScale", message).patience(WORKLOAD_PATIENCE);
    }
    match condition(object, "ScalingActive") {
        Some(active) if text(active, "/status") == "False" => {
            healthy(format!("not scaling now: {}", one_line(text(active, "/message"))))
        }
        _ => healthy("exists"),
    }
}

pub fn definition(object: &Value) -> Verdict {
    if let Some(names) = condition(object, "NamesAccepted")
        && text(names, "/status") == "False"
    {
        let message = or(text(names, "/message"), "another definition uses them");
        return failed("NamesNotAccepted", format!("its names are taken: {message}"));
    }
    if condition_is(object, "Established", "True") {
        return healthy("established");
    }
    progressing("Waiting", "not established yet")
}

/// The API's server is often part of the same release, so a failure has no time limit of its own.
pub fn api_service(object: &Value) -> Verdict {
    match condition(object, "Available") {
        Some(available) if text(available, "/status") == "True" => healthy("available"),
        Some(available) => {
            let message = one_line(text(available, "/message"));
            failing(or(text(available, "/reason"), "NotAvailable"), or(&message, "not available"))
        }
        None => progressing("Waiting", "its server has not been checked yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claim_with(phase: &str, reason: &str) -> Verdict {
        let object = json!({"kind": "PersistentVolumeClaim", "metadata": {"uid": "c"},
            "status": {"phase": phase}});
        let event = json!({"reason": reason, "message": "because", "involvedObject": {"uid": "c"}});
        claim(&Subject { object, related: vec![], events: vec![event] })
    }

    #[test]
    fn unbound_claim_is_progressing_unless_it_waits_for_a_pod() {
        assert_eq!(claim_with("Bound", "").health, Health::Healthy);
        assert_eq!(claim_with("Lost", "").health, Health::Failed);
        assert_eq!(claim_with("Pending", "").health, Health::Progressing);
        assert_eq!(claim_with("Pending", "Provisioning").health, Health::Progressing);
        assert_eq!(claim_with("Pending", "WaitForFirstConsumer").health, Health::NoOpinion);
        let failing = claim_with("Pending", "ProvisioningFailed");
        assert_eq!((failing.health, failing.patience_ms), (Health::Failing, Some(20_000)));
        assert!(failing.message.ends_with("because"));
    }

    #[test]
    fn only_a_load_balancer_without_address_is_progressing() {
        let with = |spec: Value, status: Value| service(&json!({"spec": spec, "status": status}));
        let none = json!({});
        assert_eq!(with(json!({"type": "ClusterIP"}), none.clone()).health, Health::Healthy);
        assert_eq!(with(json!({"type": "LoadBalancer"}), none.clone()).health, Health::Progressing);
        let fixed = json!({"type": "LoadBalancer", "externalIPs": ["10.0.0.1"]});
        assert_eq!(with(fixed, none).health, Health::Healthy);
        let given = json!({"loadBalancer": {"ingress": [{"hostname": "localhost"}]}});
        assert_eq!(with(json!({"type": "LoadBalancer"}), given).health, Health::Healthy);
    }

    fn with_condition(kind: &str, status: &str, reason: &str) -> Value {
        json!({"status": {"conditions": [
            {"type": kind, "status": status, "reason": reason, "message": "because"}]}})
    }

    #[test]
    fn autoscaler_fails_without_a_workload_but_not_without_metrics() {
        let idle = with_condition("ScalingActive", "False", "FailedGetResourceMetric");
        assert_eq!(autoscaler(&idle).health, Health::Healthy);
        let lost = with_condition("AbleToScale", "False", "FailedGetScale");
        assert_eq!(autoscaler(&lost).health, Health::Failing);
    }

    #[test]
    fn definitions_and_api_services_are_ready_when_served() {
        assert_eq!(definition(&with_condition("Established", "True", "")).health, Health::Healthy);
        assert_eq!(
            definition(&with_condition("NamesAccepted", "False", "")).health,
            Health::Failed
        );
        assert_eq!(definition(&json!({})).health, Health::Progressing);
        assert_eq!(api_service(&with_condition("Available", "True", "")).health, Health::Healthy);
        let missing = with_condition("Available", "False", "MissingEndpoints");
        let verdict = api_service(&missing);
        assert_eq!((verdict.health, verdict.patience_ms), (Health::Failing, None));
    }

    #[test]
    fn namespace_is_ready_when_active() {
        assert_eq!(namespace(&json!({"status": {"phase": "Active"}})).health, Health::Healthy);
        assert_eq!(namespace(&json!({})).health, Health::Progressing);
    }

    #[test]
    fn budget_that_cannot_count_its_pods_is_failing() {
        let fails = with_condition("DisruptionAllowed", "False", "SyncFailed");
        assert_eq!(disruption_budget(&fails).health, Health::Failing);
        let tight = with_condition("DisruptionAllowed", "False", "InsufficientPods");
        assert_eq!(disruption_budget(&tight).health, Health::Healthy);
    }
}
