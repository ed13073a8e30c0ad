//! Typed calls, one handle per role: the functions of the contract with plain host types.

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

            /// The plugin behind it.
            pub fn info(&self) -> &PluginInfo {
                self.session.plugin().info()
            }

            /// What the calls so far touched.
            pub fn facts(&self) -> &CallFacts {
                self.session.facts()
            }

            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// The plugin's own error, or how it misbehaved.
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
    /// Cheap look at the cluster's state.
    detect / call_detect(options: String) -> target::Status;
    /// Starts or creates the cluster.
    ensure / call_ensure(options: String) -> target::Status;
    /// How to come to a Kubernetes client.
    connect / call_connect(options: String) -> target::Connection;
    /// How images get to the nodes.
    images_via / call_images_via(options: String) -> target::ImageRoute;
    /// Which of the images the nodes lack.
    missing_images / call_missing_images(options: String, images: Vec<Image>) -> Vec<Image>;
    /// Brings images to the nodes.
    deliver_images / call_deliver_images(options: String, images: Vec<Image>) -> Vec<target::Delivered>;
    /// Takes images away; gives the references of those that went.
    remove_images / call_remove_images(options: String, images: Vec<Image>) -> Vec<String>;
    /// Where a service answers.
    reach_service / call_reach_service(options: String, service: target::Service) -> target::Reach;
    /// Takes the cluster away.
    teardown / call_teardown(options: String) -> ();
}

handle! {
    /// Calls of a builder.
    Build: build = Role::Build;
    /// What the image depends on.
    inputs / call_inputs(options: String, spec: build::ImageSpec) -> build::InputSet;
    /// Builds it.
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
    /// Decides on waves of operations.
    plan / call_plan(request: apply::Request) -> Vec<apply::Wave>;
}

handle! {
    /// Calls of a verifier: cheap, many on one instance.
    Verify: verify = Role::Verify;
    /// Judges an object.
    judge / call_judge(options: String, subject: verify::Subject) -> verify::Verdict;
    /// Names the probes to make.
    probes / call_probes(options: String, objects: Vec<String>) -> Vec<verify::Probe>;
    /// Says why an object failed.
    explain / call_explain(options: String, subject: verify::Subject, logs: Vec<(String, String)>, usage: Vec<verify::Usage>) -> Vec<Finding>;
}

handle! {
    /// Calls of a check.
    Check: check = Role::Check;
    /// Judges a subject.
    run / call_run(id: String, options: String, subject: String) -> Vec<Finding>;
}

impl Check {
    /// The checks that there are, with their phases.
    ///
    /// # Errors
    /// How the plugin misbehaved.
    pub async fn checks(&mut self) -> Result<Vec<check::Spec>, PluginError> {
        self.session
            .call("checks", |live| {
                Box::pin(async move { live.export.call_checks(&mut live.store).await.map(Ok) })
            })
            .await
    }
}
