//! A plan for people.

use std::fmt::Write as _;

use super::Plan;

/// The plan as text: every step with its component, the steps that it needs, and its inputs.
pub fn print(plan: &Plan) -> String {
    let mut text = format!("{} {} in namespace {}\n", plan.goal.name(), plan.app, plan.namespace);
    for target in &plan.targets {
        if let Some(name) = &target.target {
            let _ = writeln!(text, "target {name}");
        }
        let width = target.steps.iter().map(|step| step.id.0.len()).max().unwrap_or(0);
        for step in &target.steps {
            let plugin = step
                .plugin
                .as_ref()
                .map(|plugin| format!("{} {}", plugin.id, plugin.version))
                .unwrap_or_default();
            let needs: Vec<&str> = step.needs.iter().map(|need| need.0.as_str()).collect();
            let after = match needs.as_slice() {
                [] => "at once".to_owned(),
                needs => format!("after {}", needs.join(", ")),
            };
            let digest = &step.inputs[..12];
            let _ = writeln!(text, "  {:<width$}  {digest}  {plugin:<26}  {after}", step.id.0);
        }
    }
    text
}
