//! Continues a text, or a list of tokens like `1,2,3`: `cargo run --release --example generate -- TEXT [WEIGHTS]`.

use std::{env, error::Error, io::Write};

use @crate@::{Model, Options, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let prompt = words.next().ok_or("which text?")?;
    let model = Model::open_with(&Options {
        weights: words.next().map(Into::into),
        ..Options::default()
    })?;
    let tokens: Result<Vec<i64>, _> = prompt.split(',').map(str::parse).collect();
    let request = match &tokens {
        Ok(tokens) => Request::tokens(tokens),
        Err(_) => Request::prompt(&prompt),
    };
    let mut session = model.session()?;
    for part in session.generate(&request.max_tokens(64).temperature(0.0))? {
        print!("{}", part?.text);
        std::io::stdout().flush()?;
    }
    println!();
    eprintln!("{:?}", session.tokens()?);
    Ok(())
}
