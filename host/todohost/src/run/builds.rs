//! Images that a run builds, each once however many targets it goes to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::session::lock;
use todohost_runtime::plugin::wit;

/// What was built so far, and what is being built, by reference.
#[derive(Default)]
pub struct Builds {
    begun: Mutex<HashMap<String, Arc<OnceCell<wit::Image>>>>,
}

impl Builds {
    /// The image of a reference, by `build` or by the target that was first to need it; and whether `build` made it.
    ///
    /// # Errors
    /// As `build`; the next target that needs the image tries again.
    pub(super) async fn once<E>(
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
        wit::Image {
            name: "a".into(),
            reference: "a:1".into(),
            id: String::new(),
            platform: String::new(),
            size: 0,
        }
    }

    #[tokio::test]
    async fn two_that_need_an_image_build_it_once() {
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
    async fn what_failed_is_tried_again() {
        let builds = Builds::default();
        assert_eq!(builds.once("a:1", async { Err("no room") }).await.err(), Some("no room"));
        assert!(builds.once("a:1", async { Ok::<_, ()>(image()) }).await.unwrap().1);
    }
}
