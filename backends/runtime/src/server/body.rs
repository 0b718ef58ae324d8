//! Bodies: JSON and text that are whole, and events that are written as they come.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Response, StatusCode,
    body::{Frame, Incoming, SizeHint},
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Map, Value};

use super::{problem::Problem, stream::Stream};

/// For the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The body of a response.
pub(super) enum Body {
    /// Bytes that have not been sent yet.
    Whole(Option<Bytes>),
    /// Server-sent events.
    Stream(Box<Stream>),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Body::Whole(bytes) => bytes.take(),
            Body::Stream(stream) => std::task::ready!(stream.poll(cx)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Stream(_) => SizeHint::default(),
        }
    }
}

/// A response of some type.
pub(super) fn typed(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// A whole text of some type.
pub(super) fn text(kind: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    typed(StatusCode::OK, kind, Body::Whole(Some(text.into())))
}

/// A JSON value.
pub(super) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    typed(status, "application/json", Body::Whole(Some(value.to_string().into())))
}

/// Why a request is not answered.
pub(super) fn refusal(problem: &Problem) -> Response<Body> {
    let mut response = json(problem.status, &problem.as_json());
    let headers = response.headers_mut();
    match problem.status {
        StatusCode::UNAUTHORIZED => {
            headers.insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            headers.insert("retry-after", HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// Events as they come.
pub(super) fn events(stream: Stream) -> Response<Body> {
    let mut response = typed(StatusCode::OK, "text/event-stream", Body::Stream(Box::new(stream)));
    let headers = response.headers_mut();
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    response
}

/// The JSON object of a request, of at most so many bytes.
pub(super) async fn object(body: Incoming, largest: usize) -> Result<Map<String, Value>, Problem> {
    let too_large = || {
        let message = format!("the request has more than {largest} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    };
    // A length that is announced is not waited for.
    if hyper::body::Body::size_hint(&body).lower() > largest as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, largest).collect()).await;
    let late = |_| {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request_error",
            "the request came too slowly",
        )
    };
    let collected = collected.map_err(late)?.map_err(|error| {
        if error.is::<LengthLimitError>() {
            too_large()
        } else {
            Problem::wrong(format!("the request did not arrive: {error}"))
        }
    })?;
    let value = serde_json::from_slice(&collected.to_bytes());
    match value.map_err(|error| Problem::wrong(format!("the request is not JSON: {error}")))? {
        Value::Object(object) => Ok(object),
        _ => Err(Problem::wrong("the request is not a JSON object")),
    }
}
