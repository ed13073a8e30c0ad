//! The step `target`: where the app goes. One plugin knows one kind of cluster.

use crate::bindings::target::exports::todohost::plugin::target as wit;
use crate::{Error, Image, Result, options, panic};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wit::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};

impl Status {
    /// A state with a line that says more about it.
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

    /// What [`Target::ensure`] would do about it, as the user is asked for consent.
    #[must_use]
    pub fn offer(mut self, offer: impl Into<String>) -> Self {
        self.offer = Some(offer.into());
        self
    }

    /// Whether the cluster is one that the host may choose by itself.
    #[must_use]
    pub fn local(mut self, local: bool) -> Self {
        self.local = local;
        self
    }

    /// The version of Kubernetes, where it is known without asking the cluster.
    #[must_use]
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.kubernetes_version = Some(version.into());
        self
    }

    /// What the product made the cluster of, in its own word.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<String>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// What runs the containers on its nodes.
    #[must_use]
    pub fn runtime(mut self, runtime: impl Into<String>) -> Self {
        self.runtime = Some(runtime.into());
        self
    }

    /// Names of its nodes.
    #[must_use]
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.nodes = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// What is too small, one line each; added to what was said before.
    #[must_use]
    pub fn warn(mut self, warnings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.warnings.extend(warnings.into_iter().map(Into::into));
        self
    }
}

/// One kind of cluster. Everything that differs between targets is in these answers, nothing in the host.
pub trait Target {
    /// What the project may set under `[targets.NAME] options`.
    type Options: DeserializeOwned;

    /// Whether the cluster is there. Cheap (under a second): every candidate is asked when the user named none.
    ///
    /// # Errors
    /// Only when the question cannot be answered; a cluster that is not there is an answer.
    fn detect(options: Self::Options) -> Result<Status>;

    /// Starts or creates what [`detect`](Self::detect) found stopped or absent. The host asks the user first where
    /// `detect` [offered](Status::offer) something; where it did not, this says what the user has to do.
    ///
    /// # Errors
    /// When it cannot: say what the user has to do.
    fn ensure(options: Self::Options) -> Result<Status>;

    /// How the host comes to a Kubernetes client: a context of the user's, or a command that prints a kubeconfig.
    ///
    /// # Errors
    /// When there is no way.
    fn connect(options: Self::Options) -> Result<Connection>;

    /// How a built image comes to the cluster's nodes.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn images_via(options: Self::Options) -> Result<ImageRoute>;

    /// Which of these images the cluster does not have.
    ///
    /// # Errors
    /// When the cluster's image store cannot be asked.
    fn missing_images(options: Self::Options, images: Vec<Image>) -> Result<Vec<Image>>;

    /// Brings images to the cluster, or makes sure that they are there.
    ///
    /// # Errors
    /// When an image cannot be brought there.
    fn deliver_images(options: Self::Options, images: Vec<Image>) -> Result<Vec<Delivered>>;

    /// Takes images away that no revision needs any more; gives the references of those that went. One that is not
    /// there, or that something else keeps, is no error. A target that leaves this out keeps them all.
    ///
    /// # Errors
    /// When the cluster's image store cannot be asked.
    fn remove_images(_options: Self::Options, _images: Vec<Image>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// How the user's browser comes to a Service.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn reach_service(_options: Self::Options, _service: Service) -> Result<Reach> {
        Ok(Reach::PortForward)
    }

    /// Takes away what [`ensure`](Self::ensure) made. The host asks the user first.
    ///
    /// # Errors
    /// When something is left, and where [`ensure`](Self::ensure) makes nothing: then say what the user can do.
    fn teardown(_options: Self::Options) -> Result<()> {
        Err(Error::unsupported(
            "target.makes-no-cluster",
            "this target makes no cluster, and takes none away",
        )
        .help(
            "delete the cluster with the tool that made it; `todohost delete` takes the app away",
        ))
    }
}

/// Turns a [`Target`] into the export.
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
