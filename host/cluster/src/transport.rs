//! One request, its deadline, its retries and its errors.

use std::error::Error;
use std::sync::PoisonError;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::error::{Cause, Unreachable};
use super::{Client, ClusterError, FieldConflict};
use todohost_model::object::ObjectRef;

/// More than any list of one page that a laptop's cluster gives.
const ANSWER_LIMIT: usize = 64 << 20;

/// Attempts while the server asks for patience or does not answer.
const ATTEMPTS: u32 = 8;

/// How long a server that does not answer may take to come back, since API servers are restarted.
const RESTART: Duration = Duration::from_secs(40);

/// An API server that has just started answers before it has read the rules, and forbids everything. A refusal that
/// soon after a lost connection is retried.
const STARTING: Duration = Duration::from_secs(20);

/// Attempts while the server reports a failure of its own: often one that stays.
const ATTEMPTS_AFTER_FAILURE: u32 = 3;

/// Time for the current request after the user stopped the run.
const GRACE: Duration = Duration::from_secs(2);

/// Longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A request to the API server.
pub(super) struct Call<'a> {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub accept: &'static str,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    /// For people: `apply Deployment/api`.
    pub action: String,
    /// The object of the request, if it has one.
    pub object: Option<&'a ObjectRef>,
    /// The meaning of the answer's status.
    pub answers: Answers,
}

/// When a call may be made again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// Making it twice is making it once.
    Repeatable,
    /// Only if the server surely did not carry it out.
    Once,
    /// The status is someone else's, passed on: never again.
    Foreign,
    /// The first contact: a cluster that does not answer is reported at once.
    Contact,
}

impl<'a> Call<'a> {
    pub fn get(path: String, action: String) -> Self {
        Self {
            method: Method::GET,
            path,
            accept: "application/json",
            content_type: "application/json",
            body: Vec::new(),
            action,
            object: None,
            answers: Answers::Repeatable,
        }
    }

    fn changes_something(&self) -> bool {
        self.method != Method::GET && !self.path.contains("dryRun=All")
    }

    pub fn about(self, object: &'a ObjectRef) -> Self {
        Self { object: Some(object), ..self }
    }
}

/// The API server's answer.
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

enum Attempt {
    Answered { answer: Answer, pause: Option<Duration> },
    Failed(kube::Error),
    Silent,
}

impl Client {
    /// Makes a call, with retries if they help, and returns the answer.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, ClusterError> {
        let limit = self.timeouts.call.max(self.timeouts.request);
        let action = || call.action.clone();
        tokio::select! {
            biased;
            () = self.given_up(call) => Err(ClusterError::Stopped { action: action() }),
            answer = timeout(limit, self.call_repeatedly(call)) => {
                answer.unwrap_or_else(|_| Err(ClusterError::Timeout { action: action(), limit }))
            }
        }
    }

    /// Returns once an answer is not waited for any longer because the user stopped.
    async fn given_up(&self, call: &Call<'_>) {
        let Some(stop) = &self.stop else { return std::future::pending().await };
        let is_under_way = !stop.is_cancelled();
        stop.cancelled().await;
        // If the answer of a write arrives now, its result need not be looked up.
        if is_under_way && call.changes_something() {
            sleep(GRACE).await;
        }
    }

    /// The same for calls whose only good answers are 2xx.
    pub(super) async fn call_for<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<T, ClusterError> {
        let answer = self.call(call).await?;
        if !(200..300).contains(&answer.status) {
            return Err(self.refusal(call, &answer));
        }
        parse(call, &answer)
    }

    async fn call_repeatedly(&self, call: &Call<'_>) -> Result<Answer, ClusterError> {
        let began = Instant::now();
        let mut number = 0;
        loop {
            number += 1;
            let pause = backoff(number);
            match self.attempt(call).await {
                Attempt::Answered { answer, pause: asked } => {
                    let is_starting = answer.status == 403 && self.has_just_lost();
                    let attempts = if is_starting && call.answers != Answers::Foreign {
                        ATTEMPTS
                    } else {
                        attempts_for(call, &answer, asked.is_some())
                    };
                    if number >= attempts {
                        return Ok(answer);
                    }
                    sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                }
                Attempt::Failed(error) => {
                    self.note_loss();
                    let reason = reason_of(&error);
                    let nothing_was_sent = reason != Unreachable::Other;
                    let again = match call.answers {
                        Answers::Repeatable => true,
                        Answers::Once | Answers::Foreign => nothing_was_sent,
                        // A broken connection proves nothing about the server; a refused one does.
                        Answers::Contact => !nothing_was_sent && number < ATTEMPTS_AFTER_FAILURE,
                    };
                    // After an earlier answer, a broken handshake or an unknown name is a server,
                    // or a network, that goes away and comes back.
                    let hopeless = matches!(error, kube::Error::Auth(_))
                        || (call.answers == Answers::Contact
                            && matches!(reason, Unreachable::Tls | Unreachable::Name));
                    let is_restarting = reason == Unreachable::Refused && began.elapsed() < RESTART;
                    if !again || hopeless || (number >= ATTEMPTS && !is_restarting) {
                        return Err(self.unreachable(&error));
                    }
                    sleep(pause).await;
                }
                Attempt::Silent => {
                    let again =
                        call.answers == Answers::Repeatable && number < ATTEMPTS_AFTER_FAILURE;
                    if !again {
                        return Err(match call.answers {
                            Answers::Contact => self.unreachable_because(
                                Unreachable::Timeout,
                                Cause::new("the connection opened, but no answer came"),
                            ),
                            _ => ClusterError::Timeout {
                                action: call.action.clone(),
                                limit: began.elapsed(),
                            },
                        });
                    }
                }
            }
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Attempt {
        let exchange = async {
            let request = Request::builder()
                .method(call.method.clone())
                .uri(&call.path)
                .header(http::header::ACCEPT, call.accept)
                .header(http::header::CONTENT_TYPE, call.content_type)
                .body(Body::from(call.body.clone()))
                .map_err(kube::Error::HttpError)?;
            let response = self.shared.http.send(request).await?;
            let (status, pause) = (response.status().as_u16(), retry_after(&response));
            let body = Limited::new(response.into_body(), ANSWER_LIMIT)
                .collect()
                .await
                .map_err(kube::Error::Service)?
                .to_bytes()
                .to_vec();
            Ok(Attempt::Answered { answer: Answer { status, body }, pause })
        };
        // The semaphore is never closed.
        let _permit = self.shared.requests.acquire().await.ok();
        match timeout(self.timeouts.request, exchange).await {
            Ok(result) => result.unwrap_or_else(Attempt::Failed),
            Err(_) => Attempt::Silent,
        }
    }

    /// A connection was refused or broken off.
    pub(super) fn note_loss(&self) {
        *self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether that was so short a time ago that the server may be starting.
    pub(super) fn has_just_lost(&self) -> bool {
        let lost = *self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_some_and(|lost| lost.elapsed() < STARTING)
    }

    /// The error for a transport failure.
    pub(super) fn unreachable(&self, error: &kube::Error) -> ClusterError {
        if let kube::Error::Auth(_) = error {
            return ClusterError::Unauthorised {
                context: self.shared.context.clone(),
                server: self.shared.server.clone(),
                cause: Cause::of(error),
            };
        }
        self.unreachable_because(reason_of(error), Cause::of(innermost_telling(error)))
    }

    fn unreachable_because(&self, reason: Unreachable, cause: Cause) -> ClusterError {
        ClusterError::Unreachable {
            context: self.shared.context.clone(),
            server: self.shared.server.clone(),
            reason,
            cause,
        }
    }

    /// The error for an answer that is none of the good ones.
    pub(super) fn refusal(&self, call: &Call<'_>, answer: &Answer) -> ClusterError {
        let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason = status.get("reason").and_then(Value::as_str).unwrap_or_default();
        let message = status.get("message").and_then(Value::as_str).map_or_else(
            || {
                let text = String::from_utf8_lossy(&answer.body);
                let line: String =
                    text.lines().next().unwrap_or_default().chars().take(300).collect();
                format!("HTTP status {} {line}", answer.status).trim_end().to_owned()
            },
            one_line,
        );
        let action = call.action.clone();
        if let Some(namespace) = terminating(&status, call) {
            return ClusterError::Terminating { action, namespace };
        }
        if is_denied(answer.status, &message) {
            return ClusterError::Denied { action, cause: Cause::new(message) };
        }
        if let Some(webhook) = silent_webhook(&message).map(str::to_owned) {
            return ClusterError::Webhook { action, webhook, cause: Cause::new(message) };
        }
        match answer.status {
            401 => ClusterError::Unauthorised {
                context: self.shared.context.clone(),
                server: self.shared.server.clone(),
                cause: Cause::new(message),
            },
            403 => ClusterError::Forbidden { action, cause: Cause::new(message) },
            409 => {
                let conflicts = field_conflicts(&status);
                match call.object {
                    Some(object) if !conflicts.is_empty() => {
                        ClusterError::Conflict { object: Box::new(object.clone()), conflicts }
                    }
                    _ => ClusterError::Precondition {
                        action,
                        message,
                        exists: reason == "AlreadyExists",
                    },
                }
            }
            500.. | 429 => ClusterError::Server { action, cause: Cause::new(message) },
            status => ClusterError::Refused { action, message, status },
        }
    }
}

/// The document in an answer.
pub(super) fn parse<T: DeserializeOwned>(
    call: &Call<'_>,
    answer: &Answer,
) -> Result<T, ClusterError> {
    serde_json::from_slice(&answer.body).map_err(|error| ClusterError::Answer {
        action: call.action.clone(),
        cause: Cause::of(&error),
    })
}

fn backoff(number: u32) -> Duration {
    Duration::from_millis(100 << number.saturating_sub(1).min(5)).min(Duration::from_secs(2))
}

/// How often a call is made at most, given an answer to it.
fn attempts_for(call: &Call<'_>, answer: &Answer, asked_to_wait: bool) -> u32 {
    let repeatable = call.answers == Answers::Repeatable;
    match (call.answers, answer.status) {
        (Answers::Contact, 429 | 500 | 502..=504) => ATTEMPTS_AFTER_FAILURE,
        (Answers::Foreign | Answers::Contact, _) => 1,
        (_, 429) => ATTEMPTS,
        (_, 503) if repeatable || asked_to_wait => ATTEMPTS,
        (_, 502 | 504) if repeatable => ATTEMPTS,
        (_, 500) if repeatable => ATTEMPTS_AFTER_FAILURE,
        // Someone changed the object, or a quota, while the server worked on it: neither a conflict of managers nor one
        // with a version or a uid that we named.
        (_, 409) if call.method != Method::PUT => {
            let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let text = |name| status.get(name).and_then(Value::as_str).unwrap_or_default();
            let moved = text("reason") == "Conflict"
                && field_conflicts(&status).is_empty()
                && !text("message").contains("recondition");
            if moved { ATTEMPTS } else { 1 }
        }
        _ => 1,
    }
}

/// `Retry-After` in seconds; the other form, a date, is not used by API servers.
fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let seconds = response.headers().get(http::header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn field_conflicts(status: &Value) -> Vec<FieldConflict> {
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    let text = |cause: &Value, key: &str| {
        cause.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    causes
        .into_iter()
        .flatten()
        .filter(|cause| text(cause, "reason") == "FieldManagerConflict")
        .map(|cause| {
            let message = text(cause, "message");
            // `conflict with "m" with subresource "scale" using apps/v1 at 2026-11-21T05:00:00Z`
            let mut quoted = message.split('"').skip(1).step_by(2).map(str::to_owned);
            let manager = quoted.next().unwrap_or_else(|| message.clone());
            let since = message.rsplit_once(" at ").map(|(_, time)| time.to_owned());
            FieldConflict {
                field: text(cause, "field"),
                manager,
                subresource: quoted.next(),
                since,
            }
        })
        .collect()
}

/// Whether admission refused it, rather than the user's permissions. The API server has words for that and no status of
/// its own: webhooks and policies choose theirs.
fn is_denied(status: u16, message: &str) -> bool {
    let by_webhook =
        message.starts_with("admission webhook ") && message.contains(" denied the request");
    let by_policy =
        message.contains("ValidatingAdmissionPolicy ") && message.contains(" denied request: ");
    // `configmaps is forbidden: User "ada" cannot create ...` is the one; a quota or a pod's standard is the other.
    let by_rule = message.split_once(" is forbidden: ").filter(|_| status == 403);
    by_webhook || by_policy || by_rule.is_some_and(|(_, why)| !why.starts_with("User "))
}

/// The webhook that the API server had to ask and that did not answer. It has words for that, and status 500.
fn silent_webhook(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("failed calling webhook \"")?;
    rest.split_once('"').map(|(name, _)| name)
}

/// The namespace that takes nothing new because it is going away.
fn terminating(status: &Value, call: &Call<'_>) -> Option<String> {
    let causes = status.pointer("/details/causes")?.as_array()?;
    let is_it = causes.iter().any(|cause| cause["reason"] == "NamespaceTerminating");
    is_it.then(|| call.object.and_then(|object| object.namespace.clone()).unwrap_or_default())
}

/// The plain reason why nothing answers.
pub(super) fn reason_of(error: &kube::Error) -> Unreachable {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return Unreachable::Refused,
                std::io::ErrorKind::TimedOut => return Unreachable::Timeout,
                _ => {}
            }
        }
        let text = error.to_string();
        if text.contains("dns error") || text.contains("failed to lookup address") {
            return Unreachable::Name;
        }
        if text.contains("certificate")
            || text.contains("InvalidContentType")
            || text.contains("tls")
        {
            return Unreachable::Tls;
        }
        next = error.source();
    }
    Unreachable::Other
}

/// The outer errors of an HTTP client hold little: skip to the first that holds more than "error".
fn innermost_telling(error: &kube::Error) -> &(dyn Error + 'static) {
    let mut telling: &(dyn Error + 'static) = error;
    while let Some(source) = telling.source() {
        telling = source;
    }
    telling
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name, escaped as one step of a path.
pub(super) fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(hexadecimal(byte >> 4));
            text.push(hexadecimal(byte & 15));
        }
    }
    text
}

fn hexadecimal(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}

/// A query with its values encoded; empty values are left out.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(key, value);
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conflicts_name_field_and_manager() {
        let status = json!({ "kind": "Status", "reason": "Conflict", "details": { "causes": [
            { "reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\" using apps/v1 at 2026-11-21T05:00:00Z", "field": ".spec.replicas" },
            { "reason": "FieldManagerConflict", "message": "conflict with \"scaler\" with subresource \"scale\" using apps/v1", "field": ".spec.replicas" },
            { "reason": "FieldManagerConflict", "message": "conflict with \"other\"", "field": ".spec.paused" },
            { "reason": "FieldValueInvalid", "message": "x", "field": ".spec" }
        ] } });
        let told: Vec<String> = field_conflicts(&status).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                ".spec.replicas is managed by kubectl-edit since 2026-11-21T05:00:00Z",
                ".spec.replicas is managed by scaler",
                ".spec.paused is managed by other"
            ]
        );
        let subresource = field_conflicts(&status).remove(1).subresource;
        assert_eq!(subresource.as_deref(), Some("scale"));
    }

    #[test]
    fn denials_of_policies_and_missing_permissions_differ() {
        let denied = [
            (403, "admission webhook \"labels.example.org\" denied the request: no owner"),
            (
                400,
                "admission webhook \"labels.example.org\" denied the request without explanation",
            ),
            (
                422,
                "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            ),
            (403, "pods \"web\" is forbidden: exceeded quota: small, requested: pods=1"),
            (
                403,
                "pods \"web\" is forbidden: violates PodSecurity \"restricted:latest\": privileged",
            ),
        ];
        for (status, message) in denied {
            assert!(is_denied(status, message), "{message}");
        }
        let others = [
            (403, "configmaps is forbidden: User \"ada\" cannot create resource \"configmaps\""),
            (500, "failed calling webhook \"labels.example.org\": connection refused"),
            (400, "admission webhook \"labels.example.org\" does not support dry run"),
            (422, "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value"),
        ];
        for (status, message) in others {
            assert!(!is_denied(status, message), "{message}");
        }
    }

    #[test]
    fn a_webhook_that_does_not_answer_is_named() {
        let message = "Internal error occurred: failed calling webhook \"labels.example.org\": failed to call webhook: connection refused";
        assert_eq!(silent_webhook(message), Some("labels.example.org"));
        assert_eq!(silent_webhook("etcdserver: request timed out"), None);
    }

    #[test]
    fn names_cannot_leave_their_step_of_the_path() {
        assert_eq!(segment("a/b?c=d&e%2F"), "a%2Fb%3Fc%3Dd%26e%252F");
        assert_eq!(query(&[("labelSelector", "a=b,c"), ("limit", "")]), "?labelSelector=a%3Db%2Cc");
    }

    #[test]
    fn only_safe_calls_are_repeated() {
        let call =
            |answers, method| Call { method, answers, ..Call::get(String::new(), String::new()) };
        let answer = |status, body: Value| Answer { status, body: body.to_string().into_bytes() };
        let moved = json!({ "reason": "Conflict", "message": "the object has been modified" });
        let taken = json!({ "reason": "AlreadyExists" });
        assert_eq!(
            attempts_for(
                &call(Answers::Repeatable, Method::PATCH),
                &answer(409, moved.clone()),
                false
            ),
            ATTEMPTS
        );
        assert_eq!(
            attempts_for(&call(Answers::Repeatable, Method::PATCH), &answer(409, taken), false),
            1
        );
        assert_eq!(attempts_for(&call(Answers::Once, Method::PUT), &answer(409, moved), false), 1);
        assert_eq!(
            attempts_for(&call(Answers::Once, Method::POST), &answer(500, Value::Null), false),
            1
        );
        assert_eq!(
            attempts_for(&call(Answers::Once, Method::POST), &answer(503, Value::Null), false),
            1
        );
        assert_eq!(
            attempts_for(&call(Answers::Once, Method::POST), &answer(429, Value::Null), false),
            ATTEMPTS
        );
        assert_eq!(
            attempts_for(&call(Answers::Foreign, Method::GET), &answer(503, Value::Null), true),
            1
        );
        assert_eq!(
            attempts_for(&call(Answers::Repeatable, Method::GET), &answer(200, Value::Null), false),
            1
        );
    }

    #[test]
    fn pauses_grow_and_have_a_bound() {
        let pauses: Vec<_> = (1..=8).map(|number| backoff(number).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    }
}
