//! `serve`: what clients get over HTTP is what `generate` says, whatever other clients do.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::chat::{PLAIN, bytes, with_template};
use seqc_tests::{
    fixture::Fixture,
    program::{Program, Way},
};

/// A server that runs, and ends with this value.
pub(super) struct Server {
    process: Child,
    /// Held open, as a terminal would.
    _output: BufReader<ChildStdout>,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    pub(super) fn start(program: &Program, tokenizer: &Path, words: &[&str]) -> Server {
        let mut process = program
            .command()
            .args(["serve", "--port", "0", "--tokenizer"])
            .arg(tokenizer)
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the address");
        let address = line.trim().strip_prefix("listening on http://");
        Server {
            address: address.unwrap_or_else(|| panic!("{line:?}")).to_owned(),
            _output: output,
            process,
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("a connection")
    }

    /// A connection on which a request was sent.
    fn ask(&self, path: &str, body: &str) -> TcpStream {
        let mut stream = self.connect();
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).expect("it is written");
        stream
    }

    /// Status and body.
    pub(super) fn post(&self, path: &str, body: &str) -> Said {
        Said::of(self.ask(path, body))
    }

    pub(super) fn get(&self, path: &str) -> Said {
        let mut stream = self.connect();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is written");
        Said::of(stream)
    }

    /// The text of a greedy answer.
    fn text(&self, prompt: &str) -> Value {
        let said = self.post("/v1/completions", &greedy(prompt, false));
        assert_eq!(said.status, 200, "{said:?}");
        said.json()["choices"][0]["text"].clone()
    }

    fn signal(&self) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill").success());
    }
}

#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Said {
    fn of(mut stream: TcpStream) -> Said {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("it is read");
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Said {
            status: status.unwrap_or_default(),
            body: body.to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of a stream, and how it ended.
    fn streamed(&self) -> (String, String) {
        let (mut text, mut reason) = (String::new(), String::new());
        assert!(self.body.ends_with("data: [DONE]\n\n"), "{self:?}");
        for event in self
            .body
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: {"))
        {
            let event: Value = serde_json::from_str(&format!("{{{event}")).expect("JSON");
            let choice = &event["choices"][0];
            text += choice["text"]
                .as_str()
                .or(choice["delta"]["content"].as_str())
                .unwrap_or_default();
            reason += choice["finish_reason"].as_str().unwrap_or_default();
        }
        (text, reason)
    }
}

const TOKENS: usize = 24;

fn greedy(prompt: &str, stream: bool) -> String {
    json!({"prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "stream": stream}).to_string()
}

/// The text that `generate` says.
fn alone(program: &Program, tokenizer: &Path, flag: &str, prompt: &str) -> Value {
    let (count, tokenizer) = (TOKENS.to_string(), tokenizer.display().to_string());
    let words = [
        "generate",
        "--json",
        "-n",
        &count,
        "--tokenizer",
        &tokenizer,
        flag,
        prompt,
    ];
    let answer = program.run(&words.map(str::to_owned)).ok();
    let found: Value = serde_json::from_str(&answer.stdout).expect("JSON");
    found["text"].clone()
}

/// A folder with the tokenizer of bytes.
pub(super) fn tokenizer() -> PathBuf {
    with_template(PLAIN)
}

#[test]
fn concurrent_clients_get_what_generate_says() {
    let (program, tokenizer) = (bytes(), tokenizer());
    let server = Server::start(&program, &tokenizer, &["--max-sequences", "4", "--prompt-chunk", "8"]);
    let prompts: Vec<String> = (0..12)
        .map(|n| "Once upon a time there was. ".repeat(n) + "x")
        .collect();
    let expected: Vec<Value> = prompts
        .iter()
        .map(|prompt| alone(&program, &tokenizer, "--prompt", prompt))
        .collect();
    std::thread::scope(|scope| {
        for (prompt, expected) in prompts.iter().zip(&expected) {
            let server = &server;
            scope.spawn(move || {
                assert_eq!(server.text(prompt), *expected);
                let said = server.post("/v1/completions", &greedy(prompt, true));
                assert_eq!(said.streamed().0, expected.as_str().expect("text"));
            });
        }
    });
}

#[test]
fn conversations_are_answered_as_generate_does() {
    let (program, tokenizer) = (bytes(), tokenizer());
    let server = Server::start(&program, &tokenizer, &[]);
    let mut body = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "max_completion_tokens": TOKENS, "temperature": 0, "logprobs": true, "top_logprobs": 2});
    let expected = alone(&program, &tokenizer, "--chat", "hi");
    let found = server.post("/v1/chat/completions", &body.to_string()).json();
    let choice = &found["choices"][0];
    assert_eq!(choice["message"], json!({"role": "assistant", "content": expected}));
    let first = &choice["logprobs"]["content"][0];
    assert_eq!(first["top_logprobs"][0]["logprob"], first["logprob"]);
    body["stream"] = true.into();
    let said = server.post("/v1/chat/completions", &body.to_string());
    assert_eq!(json!(said.streamed().0), expected);
    // An answer that must be JSON is some, if it has the time for white space.
    body["max_completion_tokens"] = 400.into();
    let schema = json!({"enum": ["yes", "no"]});
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let said = server.post("/v1/chat/completions", &body.to_string()).streamed();
    assert!(["\"yes\"", "\"no\""].contains(&said.0.trim()), "{said:?}");
    assert_eq!(said.1, "stop");
    let wrong = |body: &Value| server.post("/v1/chat/completions", &body.to_string());
    body["grammar"] = "start: \"a\"".into();
    assert_eq!(wrong(&body).status, 400, "two forms");
    body["response_format"] = Value::Null;
    body["grammar"] = "%llguidance {}\nstart: /[xy]{3}/ \"!\"".into();
    let said = wrong(&body).streamed();
    assert!(
        said.0.len() == 4 && said.0.trim_start_matches(['x', 'y']) == "!",
        "{said:?}"
    );
    body["grammar"] = "root ::= \"a\"".into();
    assert!(wrong(&body).body.contains("grammar"));
    body["stream"] = false.into();
    body["grammar"] = "start: start".into();
    assert_eq!(wrong(&body).status, 400, "a grammar of no text");
}

#[test]
fn stop_texts_tokens_and_models_are_those_of_the_interface() {
    let (program, tokenizer) = (bytes(), tokenizer());
    let server = Server::start(&program, &tokenizer, &[]);
    let whole = server.text("abc");
    let whole = whole.as_str().expect("text");
    let stop: String = whole.chars().skip(3).take(2).collect();
    let body = json!({"prompt": "abc", "max_tokens": TOKENS, "temperature": 0, "stop": stop}).to_string();
    let found = server.post("/v1/completions", &body).json();
    assert_eq!(found["choices"][0]["finish_reason"], "stop");
    assert_eq!(found["choices"][0]["text"].as_str(), whole.split(&stop).next());
    let tokens = server.post("/tokenize", r#"{"content": "abc"}"#).json();
    assert_eq!(server.post("/detokenize", &tokens.to_string()).json()["content"], "abc");
    let said = server.post("/detokenize", r#"{"tokens": [1, 999999]}"#);
    assert_eq!(said.status, 400);
    assert!(said.body.contains("999999, number 2 of 2, is out of range"), "{said:?}");
    assert_eq!(server.get("/v1/models").json()["data"][0]["id"], "bytes");
    assert_eq!(server.get("/health").status, 200);
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("seqc_generated_tokens_total"), "{metrics}");
}

#[test]
fn embeddings_of_an_encoder_are_the_mean_of_its_rows() {
    let fixture = Fixture::open("bert");
    let (program, tokens) = (fixture.program(), fixture.sequence());
    let server = Server::start(&program, &tokenizer(), &[]);
    let found = server
        .post("/v1/embeddings", &json!({ "input": tokens }).to_string())
        .json();
    let rows = program.logits(&tokens, Way::default());
    let width = rows.width;
    let sum = |n| rows.data.iter().skip(n).step_by(width).sum::<f32>();
    let sums: Vec<f32> = (0..width).map(sum).collect();
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    let vector = &found["data"][0]["embedding"];
    assert_eq!(vector.as_array().map(Vec::len), Some(width));
    for (n, sum) in sums.iter().enumerate() {
        let entry = vector[n].as_f64().unwrap_or_default() as f32;
        assert!((entry - sum / length).abs() < 1e-5, "{n}: {entry}");
    }
}

#[test]
fn broken_requests_and_vanishing_clients_harm_nobody() {
    let (program, tokenizer) = (bytes(), tokenizer());
    let server = Server::start(&program, &tokenizer, &["--max-sequences", "2", "--context", "200"]);
    let expected = alone(&program, &tokenizer, "--prompt", "abc");
    let good = greedy("abc", true);
    for at in 0..good.len() {
        let mut bad = good.clone().into_bytes();
        bad[at] = b"{}[]\",0\\x"[at % 9];
        server.ask("/v1/completions", &String::from_utf8_lossy(&bad));
        server.ask("/v1/completions", &good[..at]);
    }
    assert_eq!(
        server.post("/v1/completions", &greedy(&"x".repeat(300), false)).status,
        400
    );
    assert_eq!(server.text("abc"), expected);
    let from = Instant::now();
    while !server.get("/metrics").body.contains("seqc_sequences_running 0\n") {
        assert!(
            from.elapsed() < Duration::from_secs(30),
            "answers go on without clients"
        );
    }
}

#[test]
fn a_signal_ends_the_server_after_the_answers_that_run() {
    let (program, tokenizer) = (bytes(), tokenizer());
    let mut server = Server::start(&program, &tokenizer, &[]);
    let body = json!({"prompt": "abc", "max_tokens": 400, "temperature": 0, "ignore_eos": true, "stream": true});
    let mut stream = server.ask("/v1/completions", &body.to_string());
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("the answer begins");
    server.signal();
    let said = Said::of(stream);
    assert_eq!(said.streamed().1, "length");
    assert_eq!(server.process.wait().expect("it ends").code(), Some(0));
    assert!(TcpStream::connect(&server.address).is_err());
}

#[test]
fn what_the_words_ask_for_is_checked() {
    let program = bytes();
    let refused = |words: &[&str], code| {
        let words: Vec<String> = ["serve"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        let answer = program.run(&words);
        assert_eq!(answer.code, Some(code), "{words:?}: {}", answer.stderr);
    };
    refused(&["--max-sequences", "0"], 2);
    refused(&["--api-key", ""], 2);
    refused(&["--api-key-file", "/nowhere"], 1);
    refused(&["--host", "256.0.0.1"], 1);
    refused(&["--tokenizer", "/nowhere"], 1);
    let help = program.run(&["serve", "--help"].map(str::to_owned)).ok().stdout;
    for word in [
        "--host",
        "--port",
        "--max-sequences",
        "--queue",
        "--context",
        "--timeout",
        "--api-key",
        "127.0.0.1",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
