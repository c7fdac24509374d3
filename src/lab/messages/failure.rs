//! Refusals as the Messages API words them: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Error;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub status: u16,
    pub message: String,
    pub headers: BTreeMap<String, String>,
}

impl Failure {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), headers: BTreeMap::new() }
    }

    /// 400: the request itself is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// The body; within a stream there is no request id.
    pub(super) fn body(&self, request_id: Option<&str>) -> Value {
        let mut body =
            json!({"type": "error", "error": {"type": kind(self.status), "message": self.message}});
        if let Some(id) = request_id {
            body["request_id"] = json!(id);
        }
        body
    }

    /// The whole answer.
    pub(super) fn response(&self, request_id: &str) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = self.body(Some(request_id)).to_string();
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<Error> for Failure {
    /// A wrong script: said aloud, so that nobody looks for it in the client.
    fn from(error: Error) -> Self {
        Self::new(500, format!("cq-lab: {error}"))
    }
}

/// The names that the API's documentation gives to its statuses.
pub(super) const fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

/// What is said where a script gives only the status.
pub(super) const fn usual_message(status: u16) -> &'static str {
    match status {
        401 => "invalid x-api-key",
        402 => "There is an issue with your organization's billing.",
        403 => "Your API key does not have permission to use the specified resource.",
        404 => "Not found",
        413 => "Request exceeds the maximum size",
        429 => "This request would exceed your account's rate limit. Please try again later.",
        504 => "The request timed out.",
        529 => "Overloaded",
        500..=599 => "Internal server error",
        _ => "The request was rejected.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_name_that_is_documented() {
        let cases = [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (503, "api_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ];
        for (status, name) in cases {
            let body = Failure::new(status, "m").body(Some("req_1"));
            let expected =
                json!({"type": "error", "error": {"type": name, "message": "m"}, "request_id": "req_1"});
            assert_eq!(body, expected, "{status}");
        }
        assert!(Failure::new(529, "m").body(None).get("request_id").is_none());
    }
}
