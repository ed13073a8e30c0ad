//! The files that make a folder a chart.

use crate::judgement::Judgement;
use crate::place::Place;
use crate::project::Project;
use serde_json::Value;

/// `Chart.yaml`, `values.yaml` and templates are there, and say what they must.
pub fn structure(project: &Project) -> Judgement {
    if let Some(renderer) = project.declared.other_renderer() {
        return Judgement::unless(format!("{renderer} renders, which need not take a Helm chart"));
    }
    let mut judgement = Judgement::default();
    description(project, &mut judgement);
    values(project, &mut judgement);
    let templates = project.chart("templates");
    match project.count_below(&templates) {
        0 => judgement.fault(&Place::file(&templates), "the chart has no templates"),
        count => judgement.evidence(&Place::file(&templates), format!("files: {count}")),
    }
    judgement
}

fn description(project: &Project, judgement: &mut Judgement) {
    let path = project.chart("Chart.yaml");
    let place = Place::file(&path);
    let chart = match &project.description {
        None => return judgement.fault(&place, "the chart has no Chart.yaml"),
        Some(Err(reason)) => return judgement.fault(&place, format!("Chart.yaml: {reason}")),
        Some(Ok(chart)) => chart,
    };
    let text = |key: &str| chart[key].as_str().filter(|text| !text.is_empty());
    let missing: Vec<&str> =
        ["apiVersion", "name", "version"].into_iter().filter(|key| text(key).is_none()).collect();
    match missing.first() {
        Some(key) => {
            let place = Place::value(&path, format!("/{key}"));
            judgement.fault(&place, format!("Chart.yaml says no {}", missing.join(", no ")));
        }
        None => {
            let (name, version) = (text("name"), text("version"));
            let said = [name, version].into_iter().flatten().collect::<Vec<_>>().join(" ");
            judgement.evidence(&place, said);
        }
    }
}

fn values(project: &Project, judgement: &mut Judgement) {
    let path = project.chart("values.yaml");
    let place = Place::file(&path);
    match &project.values {
        None => judgement.fault(&place, "the chart has no values.yaml"),
        Some(Err(reason)) => judgement.fault(&place, format!("values.yaml: {reason}")),
        Some(Ok(Value::Object(map))) => {
            judgement
                .evidence(&place, map.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
        Some(Ok(Value::Null)) => judgement.evidence(&place, "no defaults"),
        Some(Ok(_)) => judgement.fault(&place, "values.yaml is no map"),
    }
}
