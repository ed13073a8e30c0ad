//! The target `k3s`: the cluster of k3s on this machine, with its images in its containerd.

use std::time::Duration;

use todohost_plugin::process::{self, Command, Output};
use todohost_plugin::target::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};
use todohost_plugin::{Error, ErrorKind, Image, NoOptions, Result, Target};

struct K3s;

impl Target for K3s {
    type Options = NoOptions;

    fn detect(_options: NoOptions) -> Result<Status> {
        match k3s(&["kubectl", "get", "--raw=/readyz"]) {
            Ok(output) if output.success() => {
                Ok(Status::new(State::Ready, "the k3s of this machine").local(true))
            }
            // Only an administrator can start the service: without an offer the host does not ask for it.
            Ok(_) => Ok(Status::new(State::Stopped, "k3s does not answer").local(true)),
            Err(error) if error.kind == ErrorKind::NotFound => {
                Ok(Status::new(State::Absent, "k3s is not installed"))
            }
            Err(error) => Err(error),
        }
    }

    fn ensure(options: NoOptions) -> Result<Status> {
        match Self::detect(options)? {
            status if status.state == State::Ready => Ok(status),
            status => Err(Error::unavailable("k3s.not-running", status.detail.unwrap_or_default())
                .help("start it: `sudo systemctl start k3s`; or install it: https://docs.k3s.io/quick-start")),
        }
    }

    /// The command prints a kubeconfig with keys, which the host reads but not this plugin.
    fn connect(_options: NoOptions) -> Result<Connection> {
        Ok(Connection::Command(
            Command::new("k3s").args(["kubectl", "config", "view", "--raw"]).into(),
        ))
    }

    fn images_via(_options: NoOptions) -> Result<ImageRoute> {
        Ok(ImageRoute::SideLoad)
    }

    /// A tag is a digest of the image's content, so that an equal name means an equal image.
    fn missing_images(_options: NoOptions, images: Vec<Image>) -> Result<Vec<Image>> {
        let output = k3s(&["ctr", "images", "list", "--quiet"])?;
        if !output.success() {
            return Err(output.to_error("k3s.images-unknown", "k3s cannot list its images"));
        }
        let text = output.stdout_text();
        let has = |image: &Image| {
            let full = format!("docker.io/library/{}", image.reference);
            text.lines().any(|line| line == image.reference || line == full)
        };
        Ok(images.into_iter().filter(|image| !has(image)).collect())
    }

    /// Copies images from Docker's store into that of k3s; the bytes stay in the host.
    fn deliver_images(_options: NoOptions, images: Vec<Image>) -> Result<Vec<Delivered>> {
        let references = images.iter().map(|image| image.reference.clone());
        let save = Command::new("docker").arg("save").args(references);
        let import = Command::new("k3s").args(["ctr", "images", "import", "-"]);
        let output =
            process::pipe([save, import].map(|command| command.timeout(Duration::from_mins(10))))?;
        if !output.success() {
            return Err(output
                .to_error("k3s.load-failed", "k3s did not take the images")
                .help("see whether there is room: `df -h /var/lib/rancher`"));
        }
        let delivered = |image: Image| Delivered {
            reference: image.reference,
            already_there: false,
            bytes_sent: image.size,
        };
        Ok(images.into_iter().map(delivered).collect())
    }

    fn reach_service(_options: NoOptions, service: Service) -> Result<Reach> {
        Ok(match service.node_port {
            Some(port) => Reach::Url(format!("http://localhost:{port}")),
            None => Reach::PortForward,
        })
    }
}

fn k3s(arguments: &[&str]) -> Result<Output> {
    Command::new("k3s").args(arguments.iter().copied()).timeout(Duration::from_secs(30)).run()
}

todohost_plugin::export!(K3s: target);
