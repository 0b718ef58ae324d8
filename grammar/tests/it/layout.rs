//! Layout: what it changes, what it keeps, and that doing it twice does nothing.

use crate::support::{layer_texts, snapshot};
use seqc_grammar::{FileId, ast::File, format_file, parse_file};

fn tree(text: &str) -> File {
    let (mut file, problems) = parse_file(FileId(0), text);
    assert!(problems.is_empty(), "{text}\n{problems:?}");
    file.map_spans(&mut |_| Default::default());
    file
}

/// The same meaning, and nothing to do a second time.
fn laid_out(text: &str) -> String {
    let once = format_file(text);
    assert_eq!(tree(text), tree(&once), "{once}");
    assert_eq!(once, format_file(&once));
    once
}

#[test]
fn layers_of_the_project_are_laid_out() {
    for (name, text) in layer_texts() {
        assert_eq!(laid_out(&text), text, "{name}: run `seqc fmt` on it");
    }
}

/// A text with layout of every kind removed or made worse.
fn spoilt(text: &str, way: usize) -> String {
    let lines = text.lines().map(|line| match way {
        0 => line.trim().to_owned(),
        1 => format!("{line}   \r"),
        2 => format!("      {line}\n\n"),
        _ => {
            let outside = |part: &str| part.replace(", ", " ,  ").replace(" + ", "+").replace(" = ", "=  ");
            let parts = line.split('"').enumerate();
            let spoilt = parts.map(|(n, part)| if n % 2 == 0 { outside(part) } else { part.to_owned() });
            spoilt.collect::<Vec<_>>().join("\"")
        }
    });
    // What stands in a comment or a string stays as it is.
    let keep = |(spoilt, line): (String, &str)| if line.contains("//") { line.to_owned() } else { spoilt };
    lines.zip(text.lines()).map(keep).collect::<Vec<_>>().join("\n")
}

#[test]
fn spoilt_layouts_mean_the_same() {
    for (name, text) in layer_texts() {
        for way in 0..4 {
            let spoilt = spoilt(&text, way);
            let once = format_file(&spoilt);
            assert_eq!(tree(&text), tree(&once), "{name}, way {way}\n{once}");
            assert_eq!(once, format_file(&once), "{name}, way {way}");
        }
    }
}

const UGLY: &str = "

// A file.


/// Does
///nothing.
layer   ugly( x:[d,2*e] ,t : int;a,b=a/2 ,
c = \"s  s\")->[d]{

      // first
  dim  e=expand*d
   param w[ e,d ],s,   // weights
b[e]
  y: [e]=w@x   // the product
  h[e,n]    = prev( h )[e , n]+
sum(k:w [e,k]  * -1)

  z     = if a<-1&&!flag then-1 else  2 ** -x


  o = attend(q,k,v;scale=1,where(i,j)=i-j<window,
  // a note
 score (s,i,j) = (s
   *2))
  q = reshape (
    x,
    2
  )
  g =
  // why
    -y

  y }
block around(x:[d],inner:layer){ x+inner(x) }
fn f(;n){ n }
";

#[test]
fn an_ugly_file_becomes_a_tidy_one() {
    snapshot("layout", UGLY, &laid_out(UGLY));
}

#[test]
fn texts_that_are_wrong_do_no_harm() {
    for (_, text) in layer_texts().into_iter().take(6) {
        for at in (0..text.len()).step_by(11).filter(|at| text.is_char_boundary(*at)) {
            format_file(&text[..at]);
            format_file(&text[at..]);
        }
    }
    format_file(&"(".repeat(50_000));
    format_file(&"-".repeat(5_000));
}
