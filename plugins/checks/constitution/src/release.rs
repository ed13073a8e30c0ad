//! What is judged of the rendered objects: pods, containers, and what surrounds them.

use crate::place::Place;
use crate::project::{Declared, Read, join};
use crate::template::{self, Template};
use serde_json::Value;
use todohost_plugin::subject::{Rendered, RenderedImage};
use todohost_plugin::{ObjectRef, Result};

/// Lists the files below a folder of the project.
pub type List<'a> = &'a dyn Fn(&str) -> Result<Vec<String>>;

/// All that the rows of the phase `rendered` are judged by.
pub struct Release {
    /// What the project's file says.
    pub declared: Declared,
    /// What will be applied.
    pub objects: Vec<Value>,
    /// What was built.
    pub images: Vec<RenderedImage>,
    templates: Vec<Template>,
}

impl Release {
    /// Takes the objects, and reads what says where they came from.
    ///
    /// # Errors
    /// When the project's own file cannot be read.
    pub fn read(rendered: Rendered, read: Read<'_>, list: List<'_>) -> Result<Self> {
        let declared = Declared::read(read)?;
        let mut templates = Vec::new();
        // Templates only tell where to look: without them the object is told alone.
        for path in list(&join(&declared.app.chart, "templates")).unwrap_or_default() {
            if let Ok(Some(text)) = read(&path) {
                templates.extend(Template::read(&path, &text));
            }
        }
        Ok(Self { declared, objects: rendered.objects, images: rendered.images, templates })
    }

    /// A field of an object, as a place.
    pub fn place(&self, object: &Value, pointer: impl Into<String>) -> Place {
        let reference = ObjectRef::of(object);
        let origin = template::origin(&self.templates, &reference.kind, &reference.name);
        Place::field(reference, pointer.into(), origin)
    }

    /// Whether the project builds what a container runs.
    pub fn builds(&self, container: &Container<'_>) -> bool {
        let runs = container.value["image"].as_str();
        self.images.iter().any(|image| runs == Some(&image.reference))
    }

    /// Objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// Objects that run pods.
    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        self.objects.iter().filter_map(Workload::of)
    }
}

/// An object that runs pods.
#[derive(Clone, Copy)]
pub struct Workload<'a> {
    /// The object.
    pub object: &'a Value,
    /// Where its pod is: `""`, or a template's pointer.
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

    /// Whether its pods are meant to stay.
    pub fn stays(&self) -> bool {
        !matches!(self.object["kind"].as_str(), Some("Job" | "CronJob"))
            && !matches!(self.pod()["restartPolicy"].as_str(), Some("Never" | "OnFailure"))
    }

    /// Where the pod's specification is.
    pub fn pointer(&self) -> String {
        format!("{}/spec", self.root)
    }

    /// The pod's specification.
    pub fn pod(&self) -> &'a Value {
        self.object.pointer(&self.pointer()).unwrap_or(&Value::Null)
    }

    /// Whether a Service's selector finds its pods.
    pub fn is_selected(&self, selector: &Value) -> bool {
        let labels = self.object.pointer(&format!("{}/metadata/labels", self.root));
        selector.as_object().is_some_and(|wanted| {
            wanted
                .iter()
                .all(|(key, value)| labels.is_some_and(|labels| labels.get(key) == Some(value)))
        })
    }

    /// Containers that run as long as the pod does.
    pub fn containers(&self) -> impl Iterator<Item = Container<'a>> {
        self.list("containers")
    }

    /// All containers, those that run before the others too.
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
    /// What the object says of it.
    pub value: &'a Value,
    /// Where in the object.
    pub pointer: String,
}

impl<'a> Container<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.value["name"].as_str().unwrap_or("?")
    }

    /// Whether it says that it listens.
    pub fn listens(&self) -> bool {
        !self.ports().is_empty()
    }

    /// The ports that it says it listens on.
    pub fn ports(&self) -> &'a [Value] {
        self.value["ports"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Variables with a value that the object itself holds, and where each is.
    pub fn variables(&self) -> impl Iterator<Item = (&'a str, &'a str, String)> {
        let items = self.value["env"].as_array().map(Vec::as_slice).unwrap_or_default();
        let pointer = self.pointer.clone();
        items.iter().enumerate().filter_map(move |(index, item)| {
            let place = format!("{pointer}/env/{index}/value");
            Some((item["name"].as_str()?, item["value"].as_str()?, place))
        })
    }
}
