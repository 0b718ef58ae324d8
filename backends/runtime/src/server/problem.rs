//! Why a request is not answered, in the form of OpenAI's interface.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::{
    Error,
    engine::{Failure, FailureKind, Refusal},
    fields::Wrong,
};

/// A status with what is said about it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    /// The field of the request that is wrong.
    field: Option<String>,
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            status,
            kind,
            code: None,
            field: None,
            message: message.into(),
        }
    }

    /// The request is wrong.
    pub(super) fn wrong(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A field of the request is wrong.
    pub(super) fn field(name: &str, message: impl std::fmt::Display) -> Problem {
        Problem {
            field: Some(name.to_owned()),
            ..Problem::wrong(format!("`{name}`: {message}"))
        }
    }

    /// What was asked for does not exist.
    pub(super) fn missing(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    /// The server gave up before the answer was whole.
    pub(super) fn ended() -> Problem {
        Problem {
            code: Some("timeout"),
            ..Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "server_error",
                "the answer ended before it was whole",
            )
        }
    }

    fn server(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// The object that clients expect.
    pub(super) fn as_json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.field,
            "code": self.code,
        }})
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Input(message) | Error::Usage(message) => Problem::wrong(message),
            error @ Error::Checkpoint(_) => Problem::wrong(error.to_string()),
            error @ (Error::Failed(_) | Error::Shown | Error::Closed) => Problem::server(error.to_string()),
        }
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Problem {
        match wrong {
            Wrong::Field { name, message } => Problem::field(&name, message),
            Wrong::Other(error) => error.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let message = refusal.to_string();
        match refusal {
            Refusal::Wrong(error) => error.into(),
            Refusal::TooLong { .. } => Problem {
                code: Some("context_length_exceeded"),
                ..Problem::wrong(message)
            },
            Refusal::Busy => Problem {
                code: Some("queue_full"),
                ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message)
            },
            Refusal::Closing => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message),
        }
    }
}

impl From<Failure> for Problem {
    fn from(Failure { kind, message }: Failure) -> Problem {
        match kind {
            FailureKind::Timeout => Problem {
                code: Some("timeout"),
                ..Problem::new(StatusCode::GATEWAY_TIMEOUT, "server_error", message)
            },
            FailureKind::Wrong => Problem::wrong(message),
            FailureKind::Failed => Problem::server(message),
        }
    }
}
