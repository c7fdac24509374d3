//! Answers as GitHub words them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Error;

/// What a handler gives.
pub(super) type Answer = Result<Response, Failure>;

const DOCUMENTATION: &str = "https://docs.github.com/rest";

/// A refusal.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    body: Value,
    header: Option<(&'static str, HeaderValue)>,
}

impl Failure {
    /// A status and a message.
    pub(super) fn message(status: StatusCode, message: &str) -> Self {
        let number = status.as_u16().to_string();
        let body = json!({"message": message, "documentation_url": DOCUMENTATION, "status": number});
        Self { status, body, header: None }
    }

    /// With a header.
    pub(super) fn with(self, name: &'static str, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    pub(super) fn gone(message: &str) -> Self {
        Self::message(StatusCode::GONE, message)
    }

    pub(super) fn not_found() -> Self {
        Self::message(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 422 with the list that says what is wrong.
    pub(super) fn unprocessable(errors: Value) -> Self {
        let mut failure = Self::message(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
        if let Some(body) = failure.body.as_object_mut() {
            body.insert("errors".to_owned(), errors);
        }
        failure
    }

    /// 422 for one field: `missing_field`, `invalid`, `already_exists`…
    pub(super) fn field(resource: &str, field: &str, code: &str) -> Self {
        Self::unprocessable(json!([{"resource": resource, "field": field, "code": code}]))
    }

    /// 422 in words.
    pub(super) fn custom(resource: &str, message: &str) -> Self {
        Self::unprocessable(json!([{"resource": resource, "code": "custom", "message": message}]))
    }
}

impl From<Error> for Failure {
    /// A defect of the rehearsal itself: said aloud, so that nobody looks for it in cq.
    fn from(error: Error) -> Self {
        Self::message(StatusCode::INTERNAL_SERVER_ERROR, &format!("cq-lab: {error}"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = respond(self.status, &self.body);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// A body with a status.
pub(super) fn respond(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

#[expect(clippy::unnecessary_wraps, reason = "what a handler ends with")]
pub(super) fn ok(body: &Value) -> Answer {
    Ok(respond(StatusCode::OK, body))
}

#[expect(clippy::unnecessary_wraps, reason = "what a handler ends with")]
pub(super) fn created(body: &Value) -> Answer {
    Ok(respond(StatusCode::CREATED, body))
}

#[expect(clippy::unnecessary_wraps, reason = "what a handler ends with")]
pub(super) fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads a request's body.
pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let value: Value = if body.is_empty() {
        json!({})
    } else {
        let problem = |_| Failure::message(StatusCode::BAD_REQUEST, "Problems parsing JSON");
        serde_json::from_slice(body).map_err(problem)?
    };
    serde_json::from_value(value).map_err(|error| {
        let message = format!("Invalid request.\n\n{error}.");
        Failure::message(StatusCode::UNPROCESSABLE_ENTITY, &message)
    })
}
