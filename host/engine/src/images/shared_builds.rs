//! The images that a run builds: each is built once, for all targets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::context::lock;
use todohost_runtime::plugin::wit;

/// The images that were built or are being built, by reference.
#[derive(Default)]
pub struct Builds {
    begun: Mutex<HashMap<String, Arc<OnceCell<wit::Image>>>>,
}

impl Builds {
    /// Returns the image of a reference, and whether `build` made it. The first target that needs an image builds it; the
    /// others wait for it.
    ///
    /// # Errors
    /// As `build`. The next target that needs the image tries again.
    pub(crate) async fn once<E>(
        &self,
        reference: &str,
        build: impl Future<Output = Result<wit::Image, E>>,
    ) -> Result<(wit::Image, bool), E> {
        let cell = Arc::clone(lock(&self.begun).entry(reference.to_owned()).or_default());
        let mut is_own = false;
        let built = cell.get_or_try_init(|| {
            is_own = true;
            build
        });
        let image = built.await?.clone();
        Ok((image, is_own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> wit::Image {
        crate::stages::image_named("a", "a:1")
    }

    #[tokio::test]
    async fn two_targets_build_an_image_once() {
        let builds = Builds::default();
        let slow = async {
            tokio::task::yield_now().await;
            Ok::<_, ()>(image())
        };
        let never = async { panic!("built twice") };
        let (first, second) = tokio::join!(builds.once("a:1", slow), builds.once("a:1", never));
        assert!(first.unwrap().1);
        let (found, is_own): (_, bool) = second.map_err(|()| "failed").unwrap();
        assert_eq!((found.reference.as_str(), is_own), ("a:1", false));
    }

    #[tokio::test]
    async fn a_failed_build_is_tried_again() {
        let builds = Builds::default();
        assert_eq!(builds.once("a:1", async { Err("no room") }).await.err(), Some("no room"));
        assert!(builds.once("a:1", async { Ok::<_, ()>(image()) }).await.unwrap().1);
    }
}
