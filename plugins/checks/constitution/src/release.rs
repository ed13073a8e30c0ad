//! The rendered objects as the rules see them: workloads, containers, and the templates that they come from.

use crate::location::Location;
use crate::project::{Declared, Read, join};
use crate::template::{self, Template};
use serde_json::Value;
use todohost_plugin::subject::{Rendered, RenderedImage};
use todohost_plugin::{ObjectRef, Result};

/// Lists the files below a directory of the project.
pub type List<'a> = &'a dyn Fn(&str) -> Result<Vec<String>>;

/// The facts for the rows of the phase `rendered`.
pub struct Release {
    /// The project file.
    pub declared: Declared,
    /// The objects that the deploy will apply.
    pub objects: Vec<Value>,
    /// The images that the project builds.
    pub images: Vec<RenderedImage>,
    templates: Vec<Template>,
}

impl Release {
    /// Takes the rendered objects, and reads the project file and the chart's templates.
    ///
    /// # Errors
    /// If the project file cannot be read.
    pub fn read(rendered: Rendered, read: Read<'_>, list: List<'_>) -> Result<Self> {
        let declared = Declared::read(read)?;
        let mut templates = Vec::new();
        // Templates only add a file and line to findings, so an unreadable one is ignored.
        for path in list(&join(&declared.app.chart, "templates")).unwrap_or_default() {
            if let Ok(Some(text)) = read(&path) {
                templates.extend(Template::read(&path, &text));
            }
        }
        Ok(Self { declared, objects: rendered.objects, images: rendered.images, templates })
    }

    /// The location of an object's field.
    pub fn location(&self, object: &Value, pointer: impl Into<String>) -> Location {
        let reference = ObjectRef::of(object);
        let origin = template::origin(&self.templates, &reference.kind, &reference.name);
        Location::field(reference, pointer.into(), origin)
    }

    /// Whether the project builds the container's image.
    pub fn builds(&self, container: &Container<'_>) -> bool {
        let used = container.value["image"].as_str();
        self.images.iter().any(|image| used == Some(&image.reference))
    }

    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The objects that run pods.
    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        self.objects.iter().filter_map(Workload::of)
    }
}

/// An object that runs pods.
#[derive(Clone, Copy)]
pub struct Workload<'a> {
    pub object: &'a Value,
    /// JSON pointer to its pod: `""` for a Pod, else its pod template.
    root: &'static str,
}

impl<'a> Workload<'a> {
    fn of(object: &'a Value) -> Option<Self> {
        let root = match object["kind"].as_str()? {
            "Pod" => "",
            "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "ReplicaSet"
            | "ReplicationController"
            | "Job" => "/spec/template",
            "CronJob" => "/spec/jobTemplate/spec/template",
            _ => return None,
        };
        let workload = Self { object, root };
        workload.pod().is_object().then_some(workload)
    }

    /// Whether its pods run until they are deleted, unlike those of a Job.
    pub fn is_long_running(&self) -> bool {
        !matches!(self.object["kind"].as_str(), Some("Job" | "CronJob"))
            && !matches!(self.pod()["restartPolicy"].as_str(), Some("Never" | "OnFailure"))
    }

    /// JSON pointer to the pod's specification.
    pub fn pointer(&self) -> String {
        format!("{}/spec", self.root)
    }

    /// The pod's specification.
    pub fn pod(&self) -> &'a Value {
        self.object.pointer(&self.pointer()).unwrap_or(&Value::Null)
    }

    /// Whether a Service's selector matches its pods.
    pub fn is_selected(&self, selector: &Value) -> bool {
        let labels = self.object.pointer(&format!("{}/metadata/labels", self.root));
        selector.as_object().is_some_and(|wanted| {
            wanted
                .iter()
                .all(|(key, value)| labels.is_some_and(|labels| labels.get(key) == Some(value)))
        })
    }

    /// Its containers without the init containers.
    pub fn containers(&self) -> impl Iterator<Item = Container<'a>> {
        self.list("containers")
    }

    /// Its init containers and containers.
    pub fn all_containers(&self) -> impl Iterator<Item = Container<'a>> {
        self.list("initContainers").chain(self.list("containers"))
    }

    fn list(&self, key: &'static str) -> impl Iterator<Item = Container<'a>> {
        let pointer = self.pointer();
        let items = self.pod()[key].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().enumerate().map(move |(index, value)| Container {
            value,
            pointer: format!("{pointer}/{key}/{index}"),
        })
    }
}

/// A container of a pod.
pub struct Container<'a> {
    /// Its specification.
    pub value: &'a Value,
    /// JSON pointer to it in the object.
    pub pointer: String,
}

impl<'a> Container<'a> {
    pub fn name(&self) -> &'a str {
        self.value["name"].as_str().unwrap_or("?")
    }

    /// Whether it declares a port.
    pub fn listens(&self) -> bool {
        !self.ports().is_empty()
    }

    /// The ports that it declares.
    pub fn ports(&self) -> &'a [Value] {
        self.value["ports"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Name, value and JSON pointer of each variable with a literal value.
    pub fn variables(&self) -> impl Iterator<Item = (&'a str, &'a str, String)> {
        let items = self.value["env"].as_array().map(Vec::as_slice).unwrap_or_default();
        let pointer = self.pointer.clone();
        items.iter().enumerate().filter_map(move |(index, item)| {
            let location = format!("{pointer}/env/{index}/value");
            Some((item["name"].as_str()?, item["value"].as_str()?, location))
        })
    }
}
