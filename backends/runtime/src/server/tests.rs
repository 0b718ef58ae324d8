//! The interface over sockets, with hand-made models.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{OnceLock, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::json;

use super::*;
use crate::{
    code::Code,
    engine::{Engine, Handle, Settings},
    model::{Model, Options},
    pooling::Pooling,
    testing::{adder, sums as alone, total},
};

/// A client of a server that runs.
struct Client {
    address: SocketAddr,
    handle: Handle,
}

/// What a server said.
#[derive(Debug)]
struct Said {
    status: u16,
    body: String,
}

impl Said {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The objects of an event stream, whose end is there.
    fn events(&self) -> Vec<serde_json::Value> {
        let mut events: Vec<&str> = self.body.split("\n\n").filter(|event| !event.is_empty()).collect();
        assert_eq!(events.pop(), Some("data: [DONE]"), "{self:?}");
        let value = |event: &str| serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON");
        events.into_iter().map(value).collect()
    }
}

impl Client {
    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("a connection")
    }

    /// Sends a request as it is.
    fn send(&self, request: &str) -> Said {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it is written");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it is read");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Said {
            status: status.unwrap_or_default(),
            body: body.to_owned(),
        }
    }

    fn get(&self, path: &str) -> Said {
        self.send(&format!("GET {path} HTTP/1.0\r\n\r\n"))
    }

    fn post(&self, path: &str, body: &str) -> Said {
        self.send(&posted(path, body, ""))
    }

    fn complete(&self, fields: serde_json::Value) -> Said {
        self.post("/v1/completions", &fields.to_string())
    }
}

fn posted(path: &str, body: &str, headers: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// Runs a server for a test.
fn served(code: Code, api_key: Option<&str>, test: impl FnOnce(&Client)) {
    let model = Model::load(code, &Options::default()).expect("a model");
    let settings = Settings {
        sequences: 4,
        queue: 64,
        context: None,
        prompt_rows: 4,
        cache_bytes: 1 << 20,
        snapshot_tokens: 3,
        drafting: None,
        timeout: Some(Duration::from_secs(60)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::scope(|scope| {
        let mut engine = Engine::new(&model, None, settings).expect("an engine");
        let handle = engine.handle();
        let site = Site {
            handle: handle.clone(),
            tokenizer: None,
            model: model.descriptor().model.clone(),
            ends: Vec::new(),
            api_key: api_key.map(str::to_owned),
            largest_body: 10_000,
            max_tokens: 100,
            pooling: Pooling::Mean,
            started: now(),
            vocabulary: OnceLock::new(),
            threads: Threads::new(),
        };
        let (running, watched) = watch::channel(());
        scope.spawn(move || {
            engine.run();
            drop(running);
        });
        let server = scope.spawn(move || serve(listener, site, watched));
        let client = Client { address, handle };
        let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&client)));
        client.handle.close();
        server.join().expect("no panic").expect("no error");
        tested.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn greedy(prompt: &[i64], count: usize) -> serde_json::Value {
    json!({"prompt": prompt, "max_tokens": count, "temperature": 0, "return_tokens": true})
}

#[test]
fn many_clients_get_what_each_gets_alone() {
    served(adder("adder"), None, |client| {
        std::thread::scope(|scope| {
            for number in 0..16_i64 {
                scope.spawn(move || {
                    for round in 0..4 {
                        let prompt: Vec<i64> = (0..=number * 3 + round).map(|n| (n * number) % 16).collect();
                        let said = client.complete(greedy(&prompt, 20));
                        assert_eq!(said.status, 200, "{said:?}");
                        let found = said.json();
                        assert_eq!(found["choices"][0]["tokens"], json!(alone(&prompt, 20)));
                        assert_eq!(found["usage"]["prompt_tokens"], prompt.len());
                        assert_eq!(found["usage"]["completion_tokens"], 20);
                    }
                });
            }
        });
    });
}

#[test]
fn a_stream_says_what_the_whole_answer_does() {
    served(adder("adder"), None, |client| {
        let mut fields = greedy(&[1, 2], 6);
        fields["prompt"] = json!([[1, 2], [3]]);
        fields["n"] = 2.into();
        fields["logprobs"] = 2.into();
        let whole = client.complete(fields.clone()).json();
        fields["stream"] = true.into();
        fields["stream_options"] = json!({"include_usage": true});
        let mut events = client.complete(fields).events();
        assert_eq!(events.pop().expect("usage")["usage"], whole["usage"]);
        assert_eq!(whole["choices"].as_array().map(Vec::len), Some(4));
        for index in 0..4 {
            let choices = events.iter().map(|event| &event["choices"][0]);
            let own: Vec<_> = choices.filter(|choice| choice["index"] == index).collect();
            let tokens: Vec<_> = own
                .iter()
                .flat_map(|choice| choice["tokens"].as_array().expect("tokens"))
                .collect();
            assert_eq!(json!(tokens), whole["choices"][index]["tokens"]);
            let last = own.last().expect("a part");
            assert_eq!(last["finish_reason"], "length");
            assert!(own[0]["logprobs"]["token_logprobs"][0].is_number(), "{own:?}");
        }
    });
}

#[test]
fn wrong_requests_are_refused_with_their_status_and_field() {
    served(adder("adder"), None, |client| {
        let long = format!("[{}]", vec!["1"; 400].join(","));
        let huge = " ".repeat(20_000);
        for (status, body) in [
            (400, ""),
            (400, "nonsense"),
            (400, "[]"),
            (400, "{}"),
            (400, r#"{"prompt": []}"#),
            (400, r#"{"prompt": "text"}"#),
            (400, r#"{"prompt": [99]}"#),
            (400, r#"{"prompt": [1.5]}"#),
            (400, r#"{"prompt": [1], "temperature": "hot"}"#),
            (400, r#"{"prompt": [1], "temperature": -1}"#),
            (400, r#"{"prompt": [1], "top_p": 7}"#),
            (400, r#"{"prompt": [1], "n": 0}"#),
            (400, r#"{"prompt": [1], "n": 1000}"#),
            (400, r#"{"prompt": [1], "max_tokens": 0}"#),
            (400, r#"{"prompt": [1], "max_tokens": -1}"#),
            (400, r#"{"prompt": [1], "logprobs": 100}"#),
            (400, r#"{"prompt": [1], "logit_bias": {"x": 1}}"#),
            (400, r#"{"prompt": [1], "logit_bias": {"99": 1}}"#),
            (400, r#"{"prompt": [1], "stop": ""}"#),
            (400, r#"{"prompt": [1], "stop": [1]}"#),
            (400, r#"{"prompt": [1], "suffix": "x"}"#),
            (400, r#"{"prompt": [1], "response_format": {"type": "json_object"}}"#),
            (400, r#"{"prompt": [1], "response_format": {"type": "poem"}}"#),
            (413, &huge),
            (400, &format!("{{\"prompt\": {long}}}")),
            (400, &"[".repeat(9000)),
        ] {
            let said = client.post("/v1/completions", body);
            assert_eq!(said.status, status, "{body}: {said:?}");
            assert!(said.json()["error"]["message"].is_string(), "{body}: {said:?}");
        }
        let said = client.complete(json!({"prompt": [1], "temperature": "hot"}));
        assert_eq!(said.json()["error"]["param"], "temperature");
        let said = client.post("/v1/completions", &format!("{{\"prompt\": {long}}}"));
        assert_eq!(said.json()["error"]["code"], "context_length_exceeded");
        assert_eq!(client.post("/v1/chat/completions", r#"{"messages": []}"#).status, 400);
        assert_eq!(client.post("/v1/embeddings", r#"{"input": [1]}"#).status, 400);
        assert_eq!(client.post("/tokenize", r#"{"content": "x"}"#).status, 400);
        assert_eq!(client.get("/v1/completions").status, 405);
        assert_eq!(client.get("/nothing").status, 404);
        assert_eq!(client.get("/v1/models/other").status, 404);
        let plain = "POST /v1/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(client.send(plain).status, 415);
        let announced =
            "POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{";
        assert_eq!(client.send(announced).status, 413);
        assert_eq!(client.send("nonsense\r\n\r\n").status, 400);
    });
}

#[test]
fn without_the_key_only_health_and_page_answer() {
    served(adder("adder"), Some("secret"), |client| {
        for path in ["/v1/models", "/metrics", "/v1/completions"] {
            assert_eq!(client.get(path).status, 401, "{path}");
        }
        assert_eq!((client.get("/health").status, client.get("/").status), (200, 200));
        let body = greedy(&[1], 2).to_string();
        for (key, status) in [("secret", 200), ("secre", 401), ("secret2", 401), ("", 401)] {
            let header = format!("Authorization: Bearer {key}\r\n");
            assert_eq!(client.send(&posted("/v1/completions", &body, &header)).status, status);
        }
    });
}

#[test]
fn the_server_says_what_it_is_and_how_it_does() {
    served(adder("adder"), None, |client| {
        let found = client.get("/v1/models").json();
        assert_eq!(found["data"][0]["id"], "adder");
        assert_eq!(found["data"][0]["meta"]["chats"], false);
        assert_eq!(client.get("/v1/models/adder").json(), found["data"][0]);
        assert_eq!(client.get("/health").json(), json!({"status": "ok"}));
        client.complete(greedy(&[1, 2, 3], 5));
        let mut metrics = client.get("/metrics").body;
        // A sequence leaves its place after its answer has ended.
        let from = Instant::now();
        while !metrics.contains("seqc_sequences_running 0\n") && from.elapsed() < Duration::from_secs(20) {
            metrics = client.get("/metrics").body;
        }
        for line in [
            "seqc_prompt_tokens_total 3",
            "seqc_generated_tokens_total 5",
            "seqc_sequences_running 0",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
        }
        let page = client.get("/");
        assert!(
            page.body.starts_with("<!doctype html>") && !page.body.contains("http://"),
            "{page:?}"
        );
    });
}

#[test]
fn a_client_that_goes_away_ends_its_answer() {
    served(adder("adder"), None, |client| {
        let gauges = client.handle.gauges();
        for (number, streams) in [(1, true), (2, false)] {
            let mut fields = greedy(&[1], 100);
            // Of both requests together, what one client may have waiting.
            fields["n"] = 20.into();
            fields["stream"] = streams.into();
            let mut stream = client.connect();
            let request = posted("/v1/completions", &fields.to_string(), "");
            stream.write_all(request.as_bytes()).expect("it is written");
            while gauges.requests.load(Relaxed) < number {
                std::thread::yield_now();
            }
        }
        let from = Instant::now();
        let all = || gauges.aborted.load(Relaxed) + gauges.finished.load(Relaxed);
        while all() < 40 || gauges.running.load(Relaxed) > 0 {
            assert!(from.elapsed() < Duration::from_secs(30), "{gauges:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(client.complete(greedy(&[1], 3)).status, 200);
    });
}

#[test]
fn inputs_of_an_encoder_become_vectors() {
    served(total(), None, |client| {
        let found = client.post("/v1/embeddings", r#"{"input": [[1, 2], [3]]}"#).json();
        assert_eq!(found["data"][1]["embedding"], json!([1.0]));
        assert_eq!(found["usage"]["total_tokens"], 3);
        let found = client.post("/v1/embeddings", r#"{"input": [1, 2], "encoding_format": "base64"}"#);
        assert_eq!(found.json()["data"][0]["embedding"], "AACAPw==");
        assert_eq!(client.complete(greedy(&[1], 2)).status, 400);
    });
}

#[test]
fn answers_that_run_when_the_server_closes_come_to_their_end() {
    served(adder("adder"), None, |client| {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| client.complete(greedy(&[1], 100)));
            while client.handle.gauges().requests.load(Relaxed) == 0 {
                std::thread::yield_now();
            }
            client.handle.close();
            let said = running.join().expect("no panic");
            assert_eq!(said.json()["choices"][0]["tokens"], json!(alone(&[1], 100)));
        });
    });
}
