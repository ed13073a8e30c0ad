//! Build and delivery of images: nothing is built, and every image counts as delivered.

use serde_json::Value;
use todohost_plugin::build::{ImageSpec, InputSet};
use todohost_plugin::target::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};
use todohost_plugin::{Build, Image, Result, Target};

use super::RecordingSteps;
use super::record::record;

impl Target for RecordingSteps {
    type Options = Value;

    fn detect(options: Value) -> Result<Status> {
        record("detect", options.to_string());
        Ok(Status::new(State::Ready, "it is looked into"))
    }

    fn ensure(options: Value) -> Result<Status> {
        Self::detect(options)
    }

    fn connect(options: Value) -> Result<Connection> {
        record("connect", options.to_string());
        Ok(Connection::Context(options["context"].as_str().unwrap_or_default().to_owned()))
    }

    fn images_via(_options: Value) -> Result<ImageRoute> {
        Ok(ImageRoute::SharedDaemon)
    }

    fn missing_images(_options: Value, images: Vec<Image>) -> Result<Vec<Image>> {
        record("images", format!("{images:?}"));
        Ok(images.into_iter().filter(|image| image.id.is_empty()).collect())
    }

    fn deliver_images(_options: Value, images: Vec<Image>) -> Result<Vec<Delivered>> {
        record("delivered", format!("{images:?}"));
        let delivered = |image: Image| Delivered {
            reference: image.reference,
            already_there: true,
            bytes_sent: 0,
        };
        Ok(images.into_iter().map(delivered).collect())
    }

    fn reach_service(_options: Value, service: Service) -> Result<Reach> {
        record("service", format!("{service:?}"));
        Ok(Reach::PortForward)
    }
}

impl Build for RecordingSteps {
    type Options = Value;

    fn inputs(options: Value, spec: ImageSpec) -> Result<InputSet> {
        record("inputs", format!("{options} {spec:?}"));
        Ok(InputSet { paths: vec![spec.context], ignore: Vec::new(), bases: Vec::new() })
    }

    fn build(options: Value, spec: ImageSpec) -> Result<Image> {
        record("build", format!("{options} {spec:?}"));
        Ok(Image {
            reference: spec.tags.last().cloned().unwrap_or_default(),
            name: spec.name,
            id: format!("sha256:{:064x}", 1),
            platform: "linux/amd64".into(),
            size: 1,
        })
    }
}
