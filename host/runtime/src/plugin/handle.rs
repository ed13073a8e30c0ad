//! Typed calls, with one handle per role.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::call::{CallContext, CallFacts, Export, Session};
use super::{Plugin, PluginError, PluginInfo, Role, State, wit};
use wit::{Finding, Image, apply, build, check, render, target, verify};

macro_rules! handle {
    (
        $(#[$about:meta])*
        $handle:ident: $module:ident = $role:expr;
        $( $(#[$doc:meta])* $method:ident / $call:ident ( $($argument:ident: $type:ty),* ) -> $output:ty; )*
    ) => {
        impl Export for $module::Guest {
            const ROLE: Role = $role;

            fn bind(
                pre: &InstancePre<State>,
                store: &mut Store<State>,
                instance: &Instance,
            ) -> wasmtime::Result<Self> {
                $module::GuestIndices::new(pre)?.load(store, instance)
            }
        }

        $(#[$about])*
        pub struct $handle {
            session: Session<$module::Guest>,
        }

        impl $handle {
            pub(super) fn new(plugin: Arc<Plugin>, context: CallContext) -> Self {
                Self { session: Session::new(plugin, context) }
            }

            /// The called plugin.
            pub fn info(&self) -> &PluginInfo {
                self.session.plugin().info()
            }

            /// Side effects and inputs of the calls so far.
            pub fn facts(&self) -> &CallFacts {
                self.session.facts()
            }

            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// The error that the plugin returned, or its defect.
                pub async fn $method(&mut self, $($argument: $type),*) -> Result<$output, PluginError> {
                    self.session
                        .call(stringify!($method), move |live| {
                            Box::pin(async move {
                                live.export.$call(&mut live.store, $(&$argument),*).await
                            })
                        })
                        .await
                }
            )*
        }
    };
}

handle! {
    /// Calls of a target.
    Target: target = Role::Target;
    /// Reads the cluster's state cheaply.
    detect / call_detect(options: String) -> target::Status;
    /// Starts or creates the cluster.
    ensure / call_ensure(options: String) -> target::Status;
    /// Returns the connection to the Kubernetes API.
    connect / call_connect(options: String) -> target::Connection;
    /// Returns the route of images to the nodes.
    images_via / call_images_via(options: String) -> target::ImageRoute;
    /// Returns the images that the nodes lack.
    missing_images / call_missing_images(options: String, images: Vec<Image>) -> Vec<Image>;
    /// Delivers images to the nodes.
    deliver_images / call_deliver_images(options: String, images: Vec<Image>) -> Vec<target::Delivered>;
    /// Removes images; returns the references of the removed ones.
    remove_images / call_remove_images(options: String, images: Vec<Image>) -> Vec<String>;
    /// Returns the address of a Service.
    reach_service / call_reach_service(options: String, service: target::Service) -> target::Reach;
    /// Deletes the cluster.
    teardown / call_teardown(options: String) -> ();
}

handle! {
    /// Calls of a builder.
    Build: build = Role::Build;
    /// Returns the files on which the image depends.
    inputs / call_inputs(options: String, spec: build::ImageSpec) -> build::InputSet;
    /// Builds the image.
    build / call_build(options: String, spec: build::ImageSpec) -> Image;
}

handle! {
    /// Calls of a renderer.
    Render: render = Role::Render;
    /// Renders manifests.
    render / call_render(request: render::Request) -> render::Rendered;
}

handle! {
    /// Calls of an apply planner.
    Apply: apply = Role::Apply;
    /// Plans waves of operations.
    plan / call_plan(request: apply::Request) -> Vec<apply::Wave>;
}

handle! {
    /// Calls of a verifier. One instance serves many calls.
    Verify: verify = Role::Verify;
    /// Judges an object.
    judge / call_judge(options: String, subject: verify::Subject) -> verify::Verdict;
    /// Returns the probes to make.
    probes / call_probes(options: String, objects: Vec<String>) -> Vec<verify::Probe>;
    /// Explains the failure of an object.
    explain / call_explain(options: String, subject: verify::Subject, logs: Vec<(String, String)>, usage: Vec<verify::Usage>) -> Vec<Finding>;
}

handle! {
    /// Calls of a check.
    Check: check = Role::Check;
    /// Judges a subject.
    run / call_run(id: String, options: String, subject: String) -> Vec<Finding>;
}

impl Check {
    /// Returns the plugin's checks, with their phases.
    ///
    /// # Errors
    /// The plugin's defect.
    pub async fn checks(&mut self) -> Result<Vec<check::Spec>, PluginError> {
        self.session
            .call("checks", |live| {
                Box::pin(async move { live.export.call_checks(&mut live.store).await.map(Ok) })
            })
            .await
    }
}
