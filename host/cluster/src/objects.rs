//! Reading, applying and deleting objects.

use std::collections::HashMap;

use futures::future::try_join_all;
use http::Method;
use serde_json::{Value, json};

use super::discovery::{Kind, reference};
use super::managed_fields::is_unmigrated;
use super::transport::{Answers, Call, parse, query, segment};
use super::{Client, ClusterError, FIELD_MANAGER};
use todohost_model::object::{Object, ObjectChange, ObjectRef};

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// How often a write is tried of which it is not known whether it was carried out.
const ATTEMPTS_IN_DOUBT: usize = 4;

/// Asks for the metadata of objects and nothing else.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// From so many of one kind and namespace on, objects are listed and not asked for one by one.
const WORTH_A_LIST: usize = 8;

/// Kind and namespace.
type Group<'a> = (&'a str, &'a str, Option<&'a str>);

fn group_of(object: &ObjectRef) -> Group<'_> {
    (&object.api_version, &object.kind, object.namespace.as_deref())
}

/// The first objects of a list, by name.
struct FirstPage {
    objects: HashMap<String, Object>,
    /// The list is complete: an object that is missing in it does not exist.
    is_whole: bool,
}

/// Which objects to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// E.g. `v1`.
    pub api_version: String,
    /// E.g. `Pod`.
    pub kind: String,
    /// Absent: all namespaces.
    pub namespace: Option<String>,
    /// E.g. `app=todo`.
    pub label_selector: Option<String>,
    /// E.g. `status.phase=Running`.
    pub field_selector: Option<String>,
    /// At most so many; absent: all, page by page.
    pub limit: Option<u32>,
    /// Only `metadata` of each.
    pub metadata_only: bool,
}

/// How to apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Dry run: change nothing.
    pub dry_run: bool,
    /// Take fields from other managers.
    pub force: bool,
}

/// The server's result of an apply.
#[derive(Clone, Debug)]
pub struct Applied {
    /// As it is now, or would be.
    pub object: Object,
    /// Created, configured or unchanged.
    pub change: ObjectChange,
    /// The set of managed fields changed, whatever their values.
    pub owns_anew: bool,
}

impl Client {
    /// One object, or `None`.
    ///
    /// # Errors
    /// If the kind is unknown; errors of the connection.
    pub async fn get(&self, object: &ObjectRef) -> Result<Option<Object>, ClusterError> {
        let call = Call::get(self.path_of(object).await?, format!("get {object}")).about(object);
        let answer = self.call(&call).await?;
        match answer.status {
            200 => Ok(Some(parse(&call, &answer)?)),
            404 => Ok(None),
            _ => Err(self.refusal(&call, &answer)),
        }
    }

    /// Many objects at the same time, in the order asked for; kinds that are not served have no objects.
    ///
    /// # Errors
    /// The first failure.
    pub async fn get_many(
        &self,
        objects: &[ObjectRef],
    ) -> Result<Vec<Option<Object>>, ClusterError> {
        let mut groups: HashMap<Group, usize> = HashMap::new();
        for object in objects {
            *groups.entry(group_of(object)).or_default() += 1;
        }
        let large = groups.into_iter().filter(|(_, count)| *count >= WORTH_A_LIST);
        let lists = try_join_all(large.map(|(group, _)| self.first_page(group))).await?;
        let lists: HashMap<Group, FirstPage> = lists.into_iter().flatten().collect();
        try_join_all(objects.iter().map(|object| async {
            if let Some(page) = lists.get(&group_of(object)) {
                let found = page.objects.get(&object.name);
                if found.is_some() || page.is_whole {
                    return Ok(found.cloned());
                }
            }
            match self.get(object).await {
                Err(ClusterError::UnknownKind { .. }) => Ok(None),
                result => result,
            }
        }))
        .await
    }

    /// The first objects of a kind and namespace; `None` if the user is not allowed to list them.
    async fn first_page<'a>(
        &self,
        group: Group<'a>,
    ) -> Result<Option<(Group<'a>, FirstPage)>, ClusterError> {
        let (api_version, kind, namespace) = group;
        let kind = match self.kind(api_version, kind).await {
            Err(ClusterError::UnknownKind { .. }) => return Ok(None),
            kind => kind?,
        };
        // Records of releases are large, and few are requested.
        let is_secret = kind.api_version == "v1" && kind.kind == "Secret";
        let wanted = Query {
            namespace: namespace.map(str::to_owned),
            field_selector: is_secret.then(|| "type!=helm.sh/release.v1".to_owned()),
            ..Query::default()
        };
        match self.page(&kind, &wanted, &PAGE.to_string(), "").await {
            Ok((objects, next)) => {
                let named = |object: Object| Some((ObjectRef::of(&object)?.name, object));
                let objects = objects.into_iter().filter_map(named).collect();
                Ok(Some((group, FirstPage { objects, is_whole: next.is_empty() && !is_secret })))
            }
            // A user may be allowed to get an object by name, but not to list the kind.
            Err(ClusterError::Forbidden { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Objects of one kind.
    ///
    /// # Errors
    /// If the kind is unknown; errors of the connection.
    pub async fn list(&self, wanted: &Query) -> Result<Vec<Object>, ClusterError> {
        let kind = self.kind(&wanted.api_version, &wanted.kind).await?;
        match self.pages(&kind, wanted, PAGE).await {
            // The list went stale between two pages: ask for all of it at once.
            Err(ClusterError::Refused { status: 410, .. }) => self.pages(&kind, wanted, 0).await,
            result => result,
        }
    }

    async fn pages(
        &self,
        kind: &Kind,
        wanted: &Query,
        page: u32,
    ) -> Result<Vec<Object>, ClusterError> {
        let mut objects: Vec<Object> = Vec::new();
        let mut next = String::new();
        loop {
            let found = u32::try_from(objects.len()).unwrap_or(u32::MAX);
            let left = wanted.limit.map(|limit| limit.saturating_sub(found));
            let size = match (left, page) {
                (Some(0), _) => return Ok(objects),
                (Some(left), 0) => left.to_string(),
                (None, 0) => String::new(),
                (left, page) => left.map_or(page, |left| left.min(page)).to_string(),
            };
            let (found, more) = self.page(kind, wanted, &size, &next).await?;
            objects.extend(found);
            next = more;
            if next.is_empty() {
                return Ok(objects);
            }
        }
    }

    /// One page of a list, and the token of the next; empty on the last page.
    async fn page(
        &self,
        kind: &Kind,
        wanted: &Query,
        size: &str,
        next: &str,
    ) -> Result<(Vec<Object>, String), ClusterError> {
        let path = kind.path(wanted.namespace.as_deref());
        let parameters = query(&[
            ("labelSelector", wanted.label_selector.as_deref().unwrap_or_default()),
            ("fieldSelector", wanted.field_selector.as_deref().unwrap_or_default()),
            ("limit", size),
            ("continue", next),
        ]);
        let call = Call {
            accept: if wanted.metadata_only { METADATA } else { "application/json" },
            ..Call::get(
                format!("{path}{parameters}"),
                format!("list {} {}", kind.api_version, kind.kind),
            )
        };
        let mut list: Value = self.call_for(&call).await?;
        let items = match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        let next = list.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default();
        Ok((items.into_iter().map(|item| typed(item, kind)).collect(), next.to_owned()))
    }

    /// Server-side apply as manager `helm`.
    ///
    /// # Errors
    /// `Conflict` with every field and its manager; the server's refusals.
    pub async fn apply(
        &self,
        object: &Object,
        options: ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        let before = self.get(&reference(object)?).await?;
        self.apply_over(object, before.as_ref(), options).await
    }

    /// The same with a live object that was read before.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn apply_over(
        &self,
        object: &Object,
        before: Option<&Object>,
        options: ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        let named = &reference(object)?;
        let migrated = match before.filter(|before| is_unmigrated(before)) {
            Some(before) if options.dry_run => {
                return self.foresee_takeover(named, object, before, options).await;
            }
            Some(before) => Some(self.migrate_entries(before).await?),
            None => None,
        };
        let before = migrated.as_ref().or(before);
        self.patch_applied(named, object, before, options).await
    }

    /// Predicts the apply of an object whose entries are not yet rewritten, since a dry run cannot rewrite them. Conflicts
    /// with the host's own manager do not count.
    async fn foresee_takeover(
        &self,
        named: &ObjectRef,
        object: &Object,
        before: &Object,
        mut options: ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        let mut asked = self.patch_applied(named, object, Some(before), options).await;
        if let Err(ClusterError::Conflict { conflicts, .. }) = &mut asked {
            conflicts.retain(|conflict| conflict.manager != FIELD_MANAGER);
            if conflicts.is_empty() {
                options.force = true;
                asked = self.patch_applied(named, object, Some(before), options).await;
            }
        }
        Ok(Applied { change: ObjectChange::Configured, ..asked? })
    }

    async fn patch_applied(
        &self,
        named: &ObjectRef,
        object: &Object,
        before: Option<&Object>,
        options: ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // The server refuses a document with managed fields.
            metadata.shift_remove("managedFields");
        }
        let parameters = query(&[
            ("fieldManager", FIELD_MANAGER),
            ("force", if options.force { "true" } else { "" }),
            ("dryRun", if options.dry_run { "All" } else { "" }),
        ]);
        let call = Call {
            method: Method::PATCH,
            content_type: "application/apply-patch+yaml",
            body: object.to_string().into_bytes(),
            ..Call::get(
                format!("{}{parameters}", self.path_of(named).await?),
                format!("apply {named}"),
            )
        }
        .about(named);
        let answer = self.call(&call).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(self.refusal(&call, &answer));
        }
        let after: Object = parse(&call, &answer)?;
        let owns_anew = before.is_none_or(|before| owned(before) != owned(&after));
        // With 200: the first of several attempts made it, and its answer did not come.
        let is_made = answer.status == 201 || (before.is_none() && !options.dry_run);
        let change = if is_made {
            ObjectChange::Created
        } else if !options.dry_run {
            let same = before.is_some_and(|before| version_of(before) == version_of(&after));
            if same { ObjectChange::Unchanged } else { ObjectChange::Configured }
        } else {
            // A difference may come from a controller that changed the object after `before` was read.
            let read_again = match before {
                Some(before) if version_of(before) == version_of(&after) => None,
                _ => self.get(named).await?,
            };
            let before = read_again.as_ref().or(before);
            let same = before.is_some_and(|before| comparable(before) == comparable(&after));
            if same { ObjectChange::Unchanged } else { ObjectChange::Configured }
        };
        Ok(Applied { object: after, change, owns_anew })
    }

    /// Creates an object that must not exist yet. If the answer does not arrive, the object is
    /// looked up.
    ///
    /// # Errors
    /// `Precondition` with `exists` if it exists.
    pub async fn create(&self, object: &Object) -> Result<Object, ClusterError> {
        let named = reference(object)?;
        let kind = self.kind(&named.api_version, &named.kind).await?;
        let parameters = query(&[("fieldManager", FIELD_MANAGER)]);
        let call = Call {
            method: Method::POST,
            body: object.to_string().into_bytes(),
            answers: Answers::Once,
            ..Call::get(
                format!("{}{parameters}", kind.path(named.namespace.as_deref())),
                format!("create {named}"),
            )
        }
        .about(&named);
        let mut was_in_doubt = false;
        for _ in 1..ATTEMPTS_IN_DOUBT {
            let error = match self.call_for(&call).await {
                Ok(created) => return Ok(created),
                Err(error) => error,
            };
            let exists = matches!(error, ClusterError::Precondition { exists: true, .. });
            let is_in_doubt = error.leaves_doubt() || (exists && was_in_doubt);
            if !is_in_doubt {
                return Err(error);
            }
            was_in_doubt = true;
            match self.get(&named).await {
                Ok(Some(found)) if has_all_of(&found, object) => return Ok(found),
                Ok(None) => {}
                // Another client created it, or it cannot be looked up either.
                Ok(Some(_)) | Err(_) => return Err(error),
            }
        }
        self.call_for(&call).await
    }

    /// Replaces an object; a `metadata.resourceVersion` in it must still be the current one. If the answer does
    /// not arrive, the object is looked up.
    ///
    /// # Errors
    /// `Precondition` if it changed in the meantime.
    pub async fn replace(&self, object: &Object) -> Result<Object, ClusterError> {
        let named = reference(object)?;
        let parameters = query(&[("fieldManager", FIELD_MANAGER)]);
        let call = Call {
            method: Method::PUT,
            body: object.to_string().into_bytes(),
            ..Call::get(
                format!("{}{parameters}", self.path_of(&named).await?),
                format!("replace {named}"),
            )
        }
        .about(&named);
        for _ in 1..ATTEMPTS_IN_DOUBT {
            let error = match self.call_for(&call).await {
                Err(error @ ClusterError::Precondition { .. }) => error,
                result => return result,
            };
            match self.get(&named).await {
                // The first of several attempts was carried out, and only its answer did not come.
                Ok(Some(found)) if has_all_of(&found, object) => return Ok(found),
                // It did not change after all, or any version may be overwritten.
                Ok(Some(found))
                    if version_of(object)
                        .is_none_or(|version| version_of(&found) == Some(version)) => {}
                Ok(_) | Err(_) => return Err(error),
            }
        }
        self.call_for(&call).await
    }

    /// Deletes an object, and its dependents in the background. `false` if it was already gone.
    ///
    /// # Errors
    /// `Precondition` if the object has another uid.
    pub async fn delete(
        &self,
        object: &ObjectRef,
        uid: Option<&str>,
    ) -> Result<bool, ClusterError> {
        let mut options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"
        });
        if let (Some(uid), Some(map)) = (uid, options.as_object_mut()) {
            map.insert("preconditions".to_owned(), json!({ "uid": uid }));
        }
        let path = match self.path_of(object).await {
            // Its definition went first and took it along.
            Err(ClusterError::UnknownKind { .. }) => return Ok(false),
            path => path?,
        };
        let call = Call {
            method: Method::DELETE,
            body: options.to_string().into_bytes(),
            ..Call::get(path, format!("delete {object}"))
        }
        .about(object);
        let answer = self.call(&call).await?;
        match answer.status {
            200 | 202 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refusal(&call, &answer)),
        }
    }

    /// Whether the namespace is there, as far as the user may know.
    ///
    /// # Errors
    /// `Terminating` if it is being deleted.
    pub async fn has_namespace(&self, namespace: &str) -> Result<bool, ClusterError> {
        let named = namespace_ref(namespace);
        match self.get(&named).await {
            Ok(Some(found)) if found.pointer("/metadata/deletionTimestamp").is_some() => {
                Err(ClusterError::Terminating {
                    action: "deploy into it".to_owned(),
                    namespace: namespace.to_owned(),
                })
            }
            // A user without permission to read namespaces has been given one.
            Ok(Some(_)) | Err(ClusterError::Forbidden { .. }) => Ok(true),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates the namespace, with `annotations`; `false` if another client just did.
    ///
    /// # Errors
    /// If the user is not allowed to.
    pub async fn create_namespace(
        &self,
        namespace: &str,
        annotations: &[(&str, &str)],
    ) -> Result<bool, ClusterError> {
        let annotations: serde_json::Map<_, _> =
            annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": namespace, "labels": { "name": namespace }, "annotations": annotations,
            },
        });
        match self.create(&object).await {
            Ok(_) => Ok(true),
            Err(ClusterError::Precondition { exists: true, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn path_of(&self, object: &ObjectRef) -> Result<String, ClusterError> {
        if matches!(object.name.as_str(), "" | "." | "..") {
            return Err(ClusterError::Nameless { field: "a usable metadata.name" });
        }
        let kind = self.kind(&object.api_version, &object.kind).await?;
        if kind.namespaced && object.namespace.as_deref().is_none_or(str::is_empty) {
            return Err(ClusterError::Nameless { field: "metadata.namespace" });
        }
        Ok(format!("{}/{}", kind.path(object.namespace.as_deref()), segment(&object.name)))
    }
}

/// The reference of a namespace.
pub fn namespace_ref(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: name.to_owned(),
    }
}

/// Items of a list lack `apiVersion` and `kind`.
fn typed(item: Object, kind: &Kind) -> Object {
    match item {
        Value::Object(mut map) => {
            let mut object = serde_json::Map::with_capacity(map.len() + 2);
            object.insert("apiVersion".to_owned(), kind.api_version.clone().into());
            object.insert("kind".to_owned(), kind.kind.clone().into());
            map.shift_remove("apiVersion");
            map.shift_remove("kind");
            object.extend(map);
            Value::Object(object)
        }
        other => other,
    }
}

/// Whether an object contains every sent field; the server may add others.
fn has_all_of(found: &Object, sent: &Object) -> bool {
    match (found, sent) {
        (Value::Object(found), Value::Object(sent)) => sent.iter().all(|(name, sent)| {
            name == "resourceVersion"
                || sent.is_null()
                || found.get(name).is_some_and(|found| has_all_of(found, sent))
        }),
        (Value::Array(found), Value::Array(sent)) => {
            found.len() == sent.len()
                && found.iter().zip(sent).all(|(found, sent)| has_all_of(found, sent))
        }
        (found, sent) => found == sent,
    }
}

fn version_of(object: &Object) -> Option<&str> {
    object.pointer("/metadata/resourceVersion")?.as_str()
}

/// The fields that server-side apply says are ours.
fn owned(object: &Object) -> Option<&Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let ours = |entry: &&Value| {
        entry["manager"] == FIELD_MANAGER
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none()
    };
    entries.iter().find(ours)?.get("fieldsV1")
}

/// An object without the server's bookkeeping and its status.
pub fn comparable(object: &Object) -> Object {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.shift_remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation"] {
            metadata.shift_remove(field);
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sent_object_is_recognised_and_a_foreign_one_is_not() {
        let sent =
            json!({ "metadata": { "name": "a", "labels": { "by": "one" } }, "data": { "x": "1" } });
        let mut found = sent.clone();
        found["metadata"]["uid"] = json!("u");
        found["metadata"]["resourceVersion"] = json!("7");
        assert!(has_all_of(&found, &sent));
        found["metadata"]["labels"]["by"] = json!("other");
        assert!(!has_all_of(&found, &sent));
    }

    #[test]
    fn bookkeeping_is_not_a_change() {
        let object = |version: &str, generation: u32, replicas: u32| {
            json!({ "kind": "Deployment", "metadata": { "name": "a", "resourceVersion": version,
                "generation": generation, "managedFields": [version] }, "spec": { "replicas": replicas },
                "status": { "readyReplicas": generation } })
        };
        assert_eq!(comparable(&object("1", 1, 2)), comparable(&object("2", 3, 2)));
        assert_ne!(comparable(&object("1", 1, 2)), comparable(&object("1", 1, 3)));
    }
}
