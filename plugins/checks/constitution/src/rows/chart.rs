//! The row about the chart's files.

use crate::judgement::Judgement;
use crate::location::Location;
use crate::project::Project;
use serde_json::Value;

/// `Chart.yaml`, `values.yaml` and templates exist and have the required fields.
pub fn structure(project: &Project) -> Judgement {
    if let Some(renderer) = project.declared.other_renderer() {
        let reason = format!("the renderer {renderer} may use another format than Helm charts");
        return Judgement::or_not_judged(reason);
    }
    let mut judgement = Judgement::default();
    description(project, &mut judgement);
    values(project, &mut judgement);
    let templates = project.chart("templates");
    match project.count_below(&templates) {
        0 => judgement.fault(&Location::file(&templates), "the chart has no templates"),
        count => judgement.evidence(&Location::file(&templates), format!("files: {count}")),
    }
    judgement
}

fn description(project: &Project, judgement: &mut Judgement) {
    let path = project.chart("Chart.yaml");
    let location = Location::file(&path);
    let chart = match &project.description {
        None => return judgement.fault(&location, "the chart has no Chart.yaml"),
        Some(Err(reason)) => return judgement.fault(&location, format!("Chart.yaml: {reason}")),
        Some(Ok(chart)) => chart,
    };
    let text = |key: &str| chart[key].as_str().filter(|text| !text.is_empty());
    let missing: Vec<&str> =
        ["apiVersion", "name", "version"].into_iter().filter(|key| text(key).is_none()).collect();
    match missing.first() {
        Some(key) => {
            let location = Location::value(&path, format!("/{key}"));
            judgement.fault(&location, format!("Chart.yaml has no {}", missing.join(", no ")));
        }
        None => {
            let (name, version) = (text("name"), text("version"));
            let chart = [name, version].into_iter().flatten().collect::<Vec<_>>().join(" ");
            judgement.evidence(&location, chart);
        }
    }
}

fn values(project: &Project, judgement: &mut Judgement) {
    let path = project.chart("values.yaml");
    let location = Location::file(&path);
    match &project.values {
        None => judgement.fault(&location, "the chart has no values.yaml"),
        Some(Err(reason)) => judgement.fault(&location, format!("values.yaml: {reason}")),
        Some(Ok(Value::Object(map))) => {
            judgement
                .evidence(&location, map.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
        Some(Ok(Value::Null)) => judgement.evidence(&location, "no defaults"),
        Some(Ok(_)) => judgement.fault(&location, "values.yaml is not a map"),
    }
}
