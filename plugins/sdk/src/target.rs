//! The step `target`: supports one kind of cluster.
//!
//! ```no_run
//! use todohost_plugin::process::Command;
//! use todohost_plugin::target::{Connection, Delivered, ImageRoute, State, Status};
//! use todohost_plugin::{Error, Image, NoOptions, Result, Target};
//!
//! /// A cluster that shares the image store of this machine's container engine.
//! struct Lab;
//!
//! impl Target for Lab {
//!     type Options = NoOptions;
//!
//!     /// Needs the grant `process-exec` for `lab status`.
//!     fn detect(_options: NoOptions) -> Result<Status> {
//!         let running = Command::new("lab").arg("status").run()?.success();
//!         Ok(if running {
//!             Status::new(State::Ready, "running").local(true)
//!         } else {
//!             Status::new(State::Stopped, "not running").local(true)
//!         })
//!     }
//!
//!     fn ensure(_options: NoOptions) -> Result<Status> {
//!         Err(Error::unsupported("lab.start", "the plugin cannot start lab").help("run `lab start`"))
//!     }
//!
//!     fn connect(_options: NoOptions) -> Result<Connection> {
//!         Ok(Connection::Context("lab".into()))
//!     }
//!
//!     fn images_via(_options: NoOptions) -> Result<ImageRoute> {
//!         Ok(ImageRoute::SharedDaemon)
//!     }
//!
//!     fn missing_images(_options: NoOptions, _images: Vec<Image>) -> Result<Vec<Image>> {
//!         Ok(Vec::new())
//!     }
//!
//!     fn deliver_images(_options: NoOptions, images: Vec<Image>) -> Result<Vec<Delivered>> {
//!         Ok(images
//!             .into_iter()
//!             .map(|image| Delivered { reference: image.reference, already_there: true, bytes_sent: 0 })
//!             .collect())
//!     }
//! }
//!
//! todohost_plugin::export!(Lab: target);
//! # fn main() {}
//! ```

use crate::bindings::target::exports::todohost::plugin::target as wit;
use crate::{Error, Image, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};

impl Status {
    /// A status with this state and a line of details.
    pub fn new(state: State, detail: impl Into<String>) -> Self {
        Self {
            state,
            detail: Some(detail.into()),
            kubernetes_version: None,
            local: false,
            mode: None,
            runtime: None,
            nodes: Vec::new(),
            warnings: Vec::new(),
            offer: None,
        }
    }

    /// Sets the action that [`Target::ensure`] would take, for example `start the cluster lab`. The host asks the user
    /// for consent to it.
    #[must_use]
    pub fn offer(mut self, offer: impl Into<String>) -> Self {
        self.offer = Some(offer.into());
        self
    }

    /// Marks a cluster on the user's machine; the host can select it if the user names no target.
    #[must_use]
    pub fn local(mut self, local: bool) -> Self {
        self.local = local;
        self
    }

    /// Sets the version of Kubernetes, if it is known without a request to the cluster.
    #[must_use]
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.kubernetes_version = Some(version.into());
        self
    }

    /// Sets the kind of nodes in the product's own term, for example a driver or a provisioner.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<String>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// Sets the container runtime of the nodes, for example `containerd`.
    #[must_use]
    pub fn runtime(mut self, runtime: impl Into<String>) -> Self {
        self.runtime = Some(runtime.into());
        self
    }

    /// Sets the names of the nodes.
    #[must_use]
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.nodes = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// Adds warnings about resources that are too small for Kubernetes, one line each.
    #[must_use]
    pub fn warn(mut self, warnings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.warnings.extend(warnings.into_iter().map(Into::into));
        self
    }
}

/// One kind of cluster. Targets differ only in the results of these functions; the host has no code for any product.
pub trait Target {
    /// The options that a project can set under `[targets.NAME] options`.
    type Options: DeserializeOwned;

    /// Detects the state of the cluster. Must take less than a second: if the user names no target, the host calls this
    /// function of every target.
    ///
    /// # Errors
    /// Fails only if the state cannot be determined. A missing cluster is a [`Status`], not an error.
    fn detect(options: Self::Options) -> Result<Status>;

    /// Starts or creates a cluster that [`detect`](Self::detect) found stopped or absent. If `detect` returned an
    /// [offer](Status::offer), the host asks the user for consent first. Without an offer, fail with a help line for
    /// the user.
    ///
    /// # Errors
    /// Fails if the cluster cannot be started; the help names the user's next command.
    fn ensure(options: Self::Options) -> Result<Status>;

    /// Returns the source of the kubeconfig: a context of the user's kubeconfig, or a command that prints one.
    ///
    /// # Errors
    /// Fails if neither exists.
    fn connect(options: Self::Options) -> Result<Connection>;

    /// Returns the way of a built image to the cluster's nodes.
    ///
    /// # Errors
    /// Fails if the way cannot be determined.
    fn images_via(options: Self::Options) -> Result<ImageRoute>;

    /// Returns those of the images that are missing in the cluster.
    ///
    /// # Errors
    /// Fails if the cluster's image store cannot be read.
    fn missing_images(options: Self::Options, images: Vec<Image>) -> Result<Vec<Image>>;

    /// Delivers the images that are missing in the cluster.
    ///
    /// # Errors
    /// Fails if an image cannot be delivered.
    fn deliver_images(options: Self::Options, images: Vec<Image>) -> Result<Vec<Delivered>>;

    /// Deletes images that no revision uses, and returns the references of the deleted ones. Skips images that do not
    /// exist or are in use. By default, a target keeps all images.
    ///
    /// # Errors
    /// Fails if the cluster's image store cannot be read.
    fn remove_images(_options: Self::Options, _images: Vec<Image>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Returns the way from the user's browser to a Service: a URL, or a port forward (the default).
    ///
    /// # Errors
    /// Fails if the way cannot be determined.
    fn reach_service(_options: Self::Options, _service: Service) -> Result<Reach> {
        Ok(Reach::PortForward)
    }

    /// Deletes the cluster that [`ensure`](Self::ensure) created. The host asks the user first.
    ///
    /// # Errors
    /// Fails if a part of the cluster remains. By default, fails because the target does not create clusters.
    fn teardown(_options: Self::Options) -> Result<()> {
        Err(Error::unsupported(
            "target.makes-no-cluster",
            "this target neither creates nor deletes clusters",
        )
        .help(
            "delete the cluster with the tool that created it; `todohost delete` deletes only the app",
        ))
    }
}

/// Implements the component's export by a [`Target`].
#[doc(hidden)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Target> wit::Guest for Adapter<T> {
    fn detect(options: String) -> Result<Status, Error> {
        panic::report_panics();
        T::detect(options::parse(&options)?)
    }

    fn ensure(options: String) -> Result<Status, Error> {
        panic::report_panics();
        T::ensure(options::parse(&options)?)
    }

    fn connect(options: String) -> Result<Connection, Error> {
        panic::report_panics();
        T::connect(options::parse(&options)?)
    }

    fn images_via(options: String) -> Result<ImageRoute, Error> {
        panic::report_panics();
        T::images_via(options::parse(&options)?)
    }

    fn missing_images(options: String, images: Vec<Image>) -> Result<Vec<Image>, Error> {
        panic::report_panics();
        T::missing_images(options::parse(&options)?, images)
    }

    fn deliver_images(options: String, images: Vec<Image>) -> Result<Vec<Delivered>, Error> {
        panic::report_panics();
        T::deliver_images(options::parse(&options)?, images)
    }

    fn remove_images(options: String, images: Vec<Image>) -> Result<Vec<String>, Error> {
        panic::report_panics();
        T::remove_images(options::parse(&options)?, images)
    }

    fn reach_service(options: String, service: Service) -> Result<Reach, Error> {
        panic::report_panics();
        T::reach_service(options::parse(&options)?, service)
    }

    fn teardown(options: String) -> Result<(), Error> {
        panic::report_panics();
        T::teardown(options::parse(&options)?)
    }
}
