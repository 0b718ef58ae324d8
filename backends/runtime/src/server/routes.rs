//! Which request is answered by what, and who may ask.

use std::sync::Arc;

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    body::{self, Body},
    chat, completions, embeddings, metrics,
    problem::Problem,
    site::Site,
    tokens,
};
use crate::engine::Client;

const PAGE: &str = include_str!("page.html");
/// The page loads nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'";

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Page,
    Health,
    Metrics,
    Models,
    Model,
    Completions,
    Chat,
    Embeddings,
    Tokenize,
    Detokenize,
}

impl Route {
    fn of(path: &str) -> Option<Route> {
        Some(match path {
            "/" => Route::Page,
            "/health" | "/v1/health" => Route::Health,
            "/metrics" => Route::Metrics,
            "/v1/models" => Route::Models,
            "/v1/completions" => Route::Completions,
            "/v1/chat/completions" => Route::Chat,
            "/v1/embeddings" => Route::Embeddings,
            "/tokenize" => Route::Tokenize,
            "/detokenize" => Route::Detokenize,
            path => return path.strip_prefix("/v1/models/").map(|_| Route::Model),
        })
    }

    /// Whether everybody may ask.
    fn is_public(self) -> bool {
        matches!(self, Route::Page | Route::Health)
    }

    fn is_post(self) -> bool {
        match self {
            Route::Page | Route::Health | Route::Metrics | Route::Models | Route::Model => false,
            Route::Completions | Route::Chat | Route::Embeddings | Route::Tokenize | Route::Detokenize => true,
        }
    }
}

/// The response to a request.
pub(super) async fn answer(site: &Arc<Site>, client: Client, request: Request<Incoming>) -> Response<Body> {
    let answered = respond(site, client, request).await;
    answered.unwrap_or_else(|problem| body::refusal(&problem))
}

async fn respond(site: &Arc<Site>, client: Client, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
    let path = request.uri().path();
    let Some(route) = Route::of(path) else {
        return Err(Problem::missing(format!("there is no {path} here")));
    };
    if !route.is_public() {
        check_key(site.api_key.as_deref(), request.headers())?;
    }
    let expected = if route.is_post() { Method::POST } else { Method::GET };
    let same = *request.method() == expected || expected == Method::GET && *request.method() == Method::HEAD;
    if !same {
        let message = format!("{path} is for {expected}");
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request_error",
            message,
        ));
    }
    if !route.is_post() {
        return get(site, route, path);
    }
    check_type(request.headers())?;
    let object = body::object(request.into_body(), site.largest_body).await?;
    match route {
        Route::Completions => completions::answer(site, client, object).await,
        Route::Chat => chat::answer(site, client, object).await,
        Route::Embeddings => embeddings::answer(site, client, object).await,
        Route::Tokenize => tokens::tokenize(site, object).await,
        _ => tokens::detokenize(site, object).await,
    }
}

fn get(site: &Site, route: Route, path: &str) -> Result<Response<Body>, Problem> {
    Ok(match route {
        Route::Page => {
            let mut response = body::text("text/html; charset=utf-8", PAGE);
            let policy = HeaderValue::from_static(POLICY);
            response.headers_mut().insert("content-security-policy", policy);
            response
        }
        Route::Metrics => body::text("text/plain; version=0.0.4", metrics::text(site.handle.gauges())),
        Route::Models => {
            let list = json!({"object": "list", "data": [model(site)]});
            body::json(StatusCode::OK, &list)
        }
        Route::Model if path.strip_prefix("/v1/models/") == Some(&site.model) => {
            body::json(StatusCode::OK, &model(site))
        }
        Route::Model => return Err(Problem::missing("there is no such model")),
        _ if site.handle.is_closing() => body::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "closing"})),
        _ => body::json(StatusCode::OK, &json!({"status": "ok"})),
    })
}

/// The model as a list of models shows it.
fn model(site: &Site) -> Value {
    let descriptor = site.handle.descriptor();
    json!({
        "id": site.model,
        "object": "model",
        "created": site.started,
        "owned_by": "seqc",
        "meta": {
            "context": Some(site.handle.context()).filter(|context| *context < usize::MAX),
            "trained_length": descriptor.trained_length,
            "vocabulary": descriptor.inputs.first().and_then(|stream| stream.vocab),
            "generates": site.generates(),
            "chats": site.chats(),
        },
    })
}

/// Whether the client knows the key. The time that this takes does not depend on where keys differ.
fn check_key(key: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(key) = key else { return Ok(()) };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The name of the scheme is in any case (RFC 9110).
    let given = given
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, key)| key);
    let difference = given.bytes().zip(key.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    if difference == 0 && given.len() == key.len() {
        return Ok(());
    }
    let message = "the API key is missing or wrong: send `Authorization: Bearer KEY`";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "authentication_error", message))
}

/// Pages of other sites cannot send JSON without asking, which nobody grants: what they can send is not taken.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|value| value.split(';').next()).unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "invalid_request_error",
        "send JSON, with the header `Content-Type: application/json`",
    ))
}
