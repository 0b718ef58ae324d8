//! Attentions that are tried: masks, scores, normalisers, tables, clocks and selections.

use super::case::{Case, case};
use seqc_backends::mlir::Target;
use seqc_formats::Encoding;
use seqc_ir::{BinaryOp, Clock, Normaliser, PairExpr, UnaryOp};

pub(super) fn binary(op: BinaryOp, x: PairExpr, y: PairExpr) -> PairExpr {
    PairExpr::Binary(op, Box::new(x), Box::new(y))
}

pub(super) fn unary(op: UnaryOp, x: PairExpr) -> PairExpr {
    PairExpr::Unary(op, Box::new(x))
}

pub(super) fn number(c: f64) -> PairExpr {
    PairExpr::Const(c)
}

pub(super) fn distance() -> PairExpr {
    binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos)
}

pub(super) fn window(size: f64) -> PairExpr {
    binary(BinaryOp::Lt, distance(), number(size))
}

pub(super) fn segment(x: PairExpr, size: f64) -> PairExpr {
    unary(UnaryOp::Floor, binary(BinaryOp::Div, x, number(size)))
}

pub(super) fn cases(target: &Target) -> Vec<Case> {
    let case = |name: &str, sizes: [usize; 4]| case(name, target, sizes);
    let lists = [
        masks(&case),
        scores(&case),
        normalisers(&case),
        tables(&case),
        clocks(&case),
        best(&case),
        stored(&case),
        latent(&case),
        listed(&case),
    ];
    lists.into_iter().flatten().collect()
}

/// Queries that name the keys that they see: by blocks that fill pages, parts of them, or neither, and keys by themselves.
fn listed(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::{Add, And, Lt, Or};
    let block = |size: f64| segment(PairExpr::KeyPos, size);
    let listed = |n, block| PairExpr::Listed(n, Box::new(block));
    let first = |size: f64| binary(Lt, PairExpr::KeyPos, number(size));
    let late = segment(binary(Add, PairExpr::KeyPos, number(24.0)), 16.0);
    let case = |name: &str, sizes| case(name, sizes).tokens(430);
    vec![
        case("listed_pages", [4, 2, 16, 16])
            .lists(&[(2, true)])
            .predicate(binary(Or, listed(0, block(64.0)), window(20.0))),
        case("listed_blocks", [3, 3, 16, 24])
            .lists(&[(3, true)])
            .predicate(binary(Or, listed(0, block(16.0)), binary(Or, window(9.0), first(10.0)))),
        case("listed_alone", [4, 1, 13, 7])
            .lists(&[(5, false)])
            .predicate(listed(0, block(8.0))),
        case("listed_keys", [2, 1, 16, 16])
            .lists(&[(6, false)])
            .predicate(binary(Or, listed(0, PairExpr::KeyPos), window(5.0))),
        case("listed_odd", [2, 2, 20, 16])
            .lists(&[(2, true)])
            .predicate(listed(0, block(24.0)))
            .log_sum(),
        case("listed_twice", [4, 2, 16, 16])
            .lists(&[(2, true), (3, false)])
            .predicate(binary(
                Or,
                binary(And, listed(0, late), window(150.0)),
                binary(Or, listed(1, block(32.0)), window(3.0)),
            )),
        case("listed_scores", [4, 2, 16, 16])
            .lists(&[(2, true)])
            .predicate(binary(Or, listed(0, block(16.0)), window(20.0)))
            .score(binary(
                BinaryOp::Sub,
                PairExpr::Score,
                binary(BinaryOp::Mul, number(0.01), distance()),
            )),
        case("listed_sum", [2, 2, 16, 16])
            .lists(&[(2, true)])
            .predicate(listed(0, block(16.0)))
            .normaliser(Normaliser::None),
        case("listed_ticks", [4, 2, 16, 16])
            .clock(Clock::Keys)
            .lists(&[(3, true)])
            .predicate(binary(Or, listed(0, block(8.0)), window(6.0))),
        case("listed_both", [4, 2, 16, 16])
            .clock(Clock::Both)
            .lists(&[(3, true)])
            .predicate(listed(0, block(8.0))),
        case("listed_half", [4, 2, 16, 16])
            .lists(&[(2, true)])
            .predicate(binary(Or, listed(0, block(16.0)), window(20.0)))
            .stored(Encoding::F16),
        case("listed_keys_of_heads", [6, 2, 16, 20])
            .lists(&[(9, true)])
            .predicate(binary(Or, listed(0, PairExpr::KeyPos), first(3.0)))
            .score(unary(UnaryOp::Tanh, PairExpr::Score)),
        case("listed_keys_half", [20, 1, 16, 16])
            .lists(&[(9, false)])
            .predicate(listed(0, PairExpr::KeyPos))
            .log_sum()
            .stored(Encoding::F16),
        case("listed_keys_sum", [2, 2, 13, 70])
            .lists(&[(9, false)])
            .predicate(binary(Or, listed(0, block(3.0)), window(4.0)))
            .normaliser(Normaliser::None),
        // These are looked through key by key.
        case("listed_not", [4, 2, 16, 16])
            .lists(&[(3, true)])
            .predicate(unary(UnaryOp::Not, listed(0, block(16.0)))),
        case("listed_top", [4, 2, 16, 0])
            .lists(&[(9, true)])
            .predicate(listed(0, block(16.0)))
            .normaliser(Normaliser::Top(5)),
    ]
}

/// Caches of fewer bits, of widths that fill vectors and of others.
fn stored(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    let types = [Encoding::F16, Encoding::Bf16].into_iter();
    let of_type = |ty: Encoding| {
        let named = |what: &str| format!("{ty}_{what}");
        [
            case(&named("plain"), [6, 2, 16, 24]).stored(ty),
            case(&named("odd"), [3, 1, 13, 7]).predicate(window(30.0)).stored(ty),
            case(&named("wide"), [2, 2, 64, 70]).stored(ty),
            case(&named("clocked"), [4, 2, 16, 16]).clock(Clock::Both).stored(ty),
            case(&named("top"), [4, 2, 16, 0])
                .normaliser(Normaliser::Top(5))
                .stored(ty),
        ]
    };
    types.flat_map(of_type).collect()
}

/// Values that are a part of the keys.
fn latent(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    vec![
        case("latent", [8, 1, 40, 32]).values_in_keys(0),
        case("latent_odd", [6, 2, 21, 13])
            .values_in_keys(5)
            .predicate(window(90.0)),
        case("latent_wide", [4, 1, 150, 130]).values_in_keys(20).log_sum(),
        case("latent_sums", [4, 2, 16, 16])
            .values_in_keys(0)
            .normaliser(Normaliser::None),
        case("latent_clocked", [4, 2, 16, 9])
            .values_in_keys(7)
            .clock(Clock::Both),
        case("latent_f16", [3, 1, 13, 7])
            .values_in_keys(2)
            .stored(Encoding::F16),
    ]
}

/// `(first i + second j) % modulus`
fn hash(first: f64, second: f64, modulus: f64) -> PairExpr {
    use BinaryOp::{Add, Mod, Mul};
    let of_query = binary(Mul, PairExpr::QueryPos, number(first));
    let sum = binary(Add, of_query, binary(Mul, PairExpr::KeyPos, number(second)));
    binary(Mod, sum, number(modulus))
}

fn masks(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let (i, j) = (PairExpr::QueryPos, PairExpr::KeyPos);
    let sinks = binary(Lt, j.clone(), number(70.0));
    let same_document = binary(Eq, PairExpr::QueryStream(0), PairExpr::KeyStream(0));
    let gate = binary(Gt, PairExpr::KeyStream(1), number(0.0));
    let per_head = binary(
        Lt,
        distance(),
        binary(Pow, number(3.0), binary(Add, PairExpr::Head, number(1.0))),
    );
    let dilated = binary(Eq, binary(Mod, distance(), number(3.0)), number(0.0));
    let blocks = binary(
        Le,
        binary(Sub, segment(i.clone(), 24.0), segment(j.clone(), 24.0)),
        number(1.0),
    );
    let capped = binary(Gt, binary(Min, distance(), number(80.0)), number(20.5));
    // Numbers far beyond those that f32 has.
    let random = binary(Lt, hash(7919.0, 1_299_709.0, 7.0), number(3.0));
    let long = binary(Mul, hash(2_654_435_761.0, 40_503.0, 4_294_967_296.0), number(5.0));
    let long = binary(Lt, segment(long, 4_294_967_296.0), number(2.0));
    let product = binary(
        Mul,
        binary(Mul, i.clone(), i.clone()),
        binary(Mul, j.clone(), number(1001.0)),
    );
    let product = binary(Ne, binary(Mod, product, number(11.0)), number(4.0));
    vec![
        case("plain", [4, 2, 64, 64]),
        case("odd", [3, 3, 7, 10]),
        case("wide", [2, 1, 96, 80]),
        case("whole", [2, 2, 24, 8]).whole(),
        case("whole_window", [2, 2, 24, 8])
            .predicate(binary(Lt, unary(UnaryOp::Abs, distance()), number(30.0)))
            .whole(),
        case("window", [6, 2, 16, 24]).predicate(window(50.0)).tokens(900),
        case("sinks", [6, 2, 16, 24])
            .predicate(binary(Or, sinks, window(33.0)))
            .tokens(900),
        case("segments", [6, 2, 16, 24]).predicate(binary(Eq, segment(i, 48.0), segment(j, 48.0))),
        case("blocks", [6, 2, 16, 24]).predicate(blocks).tokens(400),
        case("documents", [6, 2, 16, 24])
            .predicate(binary(And, same_document.clone(), gate))
            .streams(&[1], &[1, 1]),
        case("ring_streams", [6, 2, 16, 24])
            .predicate(binary(And, same_document, window(50.0)))
            .streams(&[1], &[1])
            .tokens(900),
        case("per_head", [6, 2, 16, 24]).predicate(per_head).tokens(800),
        case("dilated", [6, 2, 16, 24]).predicate(dilated),
        case("far", [6, 2, 16, 24]).predicate(capped),
        case("random_keys", [6, 2, 16, 24]).predicate(random),
        case("hashed_keys", [6, 2, 16, 24]).predicate(long),
        case("product_of_positions", [6, 2, 16, 24]).predicate(product),
        case("reach", [6, 2, 16, 24])
            .predicate(binary(
                Lt,
                distance(),
                binary(
                    Min,
                    binary(Mul, PairExpr::KeyStream(0), number(90.0)),
                    binary(Max, PairExpr::QueryStream(0), number(40.0)),
                ),
            ))
            .streams(&[6], &[1]),
        case("nothing", [6, 2, 16, 24]).predicate(binary(Lt, distance(), number(0.0))),
    ]
}

fn scores(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let s = || PairExpr::Score;
    let capped = binary(Mul, number(2.0), unary(UnaryOp::Tanh, binary(Div, s(), number(2.0))));
    let exponent = binary(Div, binary(Add, PairExpr::Head, number(1.0)), number(-2.0));
    let alibi = binary(Sub, s(), binary(Mul, binary(Pow, number(2.0), exponent), distance()));
    let slopes = binary(
        Sub,
        s(),
        binary(Mul, PairExpr::QueryStream(0), binary(Div, distance(), number(7.0))),
    );
    let with_key = binary(Add, slopes, PairExpr::KeyStream(0));
    // A decay of each head from the key to the query, and one number of the key for all heads.
    let decay = binary(Sub, PairExpr::QueryStream(0), PairExpr::KeyStream(1));
    let forgetting = binary(Add, binary(Add, s(), decay), PairExpr::KeyStream(0));
    let unseen = PairExpr::Select(
        Box::new(binary(Eq, binary(Mod, PairExpr::KeyPos, number(5.0)), number(2.0))),
        Box::new(s()),
        Box::new(number(f64::NEG_INFINITY)),
    );
    let near = PairExpr::Select(
        Box::new(binary(Eq, PairExpr::QueryPos, PairExpr::KeyPos)),
        Box::new(binary(Sub, s(), number(1.0))),
        Box::new(binary(
            Add,
            s(),
            binary(Mul, number(0.125), binary(Min, distance(), number(8.0))),
        )),
    );
    vec![
        case("capped", [6, 2, 16, 24]).score(capped),
        case("alibi", [6, 2, 16, 24]).score(alibi),
        case("streams", [6, 2, 16, 24]).score(with_key).streams(&[6], &[1]),
        case("forgetting", [6, 2, 16, 24])
            .score(forgetting.clone())
            .streams(&[6], &[1, 6]),
        case("forgetting_window", [6, 2, 16, 24])
            .score(forgetting)
            .predicate(binary(
                And,
                window(50.0),
                binary(Gt, PairExpr::KeyStream(1), number(-0.5)),
            ))
            .streams(&[6], &[1, 6])
            .tokens(900),
        case("unseen", [6, 2, 16, 24]).score(unseen),
        case("near", [6, 2, 16, 24]).score(near),
    ]
}

fn normalisers(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    let exp = || unary(UnaryOp::Exp, PairExpr::Score);
    let later = || binary(BinaryOp::Gt, distance(), number(70.0));
    vec![
        case("sum", [6, 2, 16, 24]).score(exp()).normaliser(Normaliser::Sum),
        case("sum_far", [6, 2, 16, 24])
            .score(exp())
            .normaliser(Normaliser::Sum)
            .predicate(later()),
        case("linear", [6, 2, 16, 24]).normaliser(Normaliser::None),
        case("linear_window", [6, 2, 16, 24])
            .normaliser(Normaliser::None)
            .predicate(window(60.0)),
    ]
}

fn tables(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let plus = |indices| binary(Add, PairExpr::Score, PairExpr::Table(0, indices));
    let bucket = unary(
        UnaryOp::Log,
        binary(Add, binary(Max, distance(), number(0.0)), number(1.5)),
    );
    let key = || binary(Mul, PairExpr::KeyStream(0), number(0.5));
    let gate = binary(Gt, PairExpr::Table(0, vec![distance()]), number(0.0));
    let strided = binary(Sub, binary(Mul, number(2.0), PairExpr::KeyPos), PairExpr::QueryPos);
    vec![
        case("bias", [6, 2, 16, 24])
            .score(plus(vec![PairExpr::Head, distance()]))
            .tables(&[&[6, 100]])
            .log_sum(),
        case("forward", [6, 2, 16, 24])
            .score(plus(vec![binary(Sub, PairExpr::KeyPos, PairExpr::QueryPos)]))
            .tables(&[&[300]])
            .whole(),
        case("short_bias", [6, 2, 16, 24])
            .score(plus(vec![distance()]))
            .tables(&[&[5]]),
        case("strided", [6, 2, 16, 24])
            .score(plus(vec![strided]))
            .tables(&[&[300]]),
        case("buckets", [6, 2, 16, 24])
            .score(plus(vec![binary(Mul, bucket, number(3.0))]))
            .tables(&[&[20]]),
        case("codes", [6, 2, 16, 24])
            .score(plus(vec![PairExpr::QueryStream(0), key(), segment(distance(), 9.0)]))
            .streams(&[1], &[1])
            .tables(&[&[7, 3, 8]]),
        case("hashed", [6, 2, 16, 24])
            .score(plus(vec![hash(7919.0, 1_299_709.0, 50.0)]))
            .tables(&[&[50]]),
        case("of_query", [6, 2, 16, 24])
            .score(binary(Add, plus(vec![segment(PairExpr::QueryPos, 3.0)]), key()))
            .streams(&[], &[1])
            .tables(&[&[50]]),
        case("chosen", [6, 2, 16, 24])
            .predicate(binary(
                Or,
                binary(
                    Eq,
                    segment(PairExpr::KeyPos, 16.0),
                    unary(UnaryOp::Floor, binary(Mul, PairExpr::QueryStream(0), number(9.0))),
                ),
                binary(Lt, distance(), binary(Mul, PairExpr::QueryStream(0), number(30.0))),
            ))
            .streams(&[6], &[]),
        case("gated", [6, 2, 16, 24]).predicate(gate).tables(&[&[90]]).log_sum(),
    ]
}

fn clocks(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let biased = || binary(Add, PairExpr::Score, PairExpr::Table(0, vec![distance()]));
    let later = || binary(Gt, distance(), number(40.0));
    let with_streams = binary(
        Add,
        PairExpr::Score,
        binary(Mul, PairExpr::QueryStream(0), PairExpr::KeyStream(0)),
    );
    let sinks = || binary(Or, binary(Lt, PairExpr::KeyPos, number(20.0)), window(30.0));
    let exp = || unary(UnaryOp::Exp, PairExpr::Score);
    let each = |name: &str, clock| {
        let case = |part: &str, sizes| case(&format!("{name}_{part}"), sizes).clock(clock);
        vec![
            case("plain", [4, 2, 64, 64]).log_sum(),
            case("odd", [3, 3, 7, 10]),
            case("window", [6, 2, 16, 24]).predicate(window(30.0)).tokens(900),
            case("sinks", [6, 2, 16, 24]).predicate(sinks()).tokens(900),
            case("late", [6, 2, 16, 24]).predicate(later()).log_sum(),
            case("streams", [6, 2, 16, 24])
                .score(with_streams.clone())
                .streams(&[6], &[1]),
            case("biased", [6, 2, 16, 24]).score(biased()).tables(&[&[40]]),
            case("whole", [2, 2, 24, 8]).whole(),
            case("sum", [6, 2, 16, 24]).score(exp()).normaliser(Normaliser::Sum),
            case("linear", [6, 2, 16, 24]).normaliser(Normaliser::None),
        ]
    };
    let mut all = each("keys", Clock::Keys);
    all.extend(each("both", Clock::Both));
    all
}

fn best(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    // Many ties: the earlier key comes first.
    let steps = || unary(UnaryOp::Floor, binary(Mul, PairExpr::KeyStream(0), number(4.0)));
    let later = || binary(Gt, distance(), number(40.0));
    let sinks = binary(Or, binary(Lt, PairExpr::KeyPos, number(70.0)), window(100.0));
    let case = |name: &str, sizes, n| case(name, sizes).normaliser(Normaliser::Top(n));
    vec![
        case("top", [4, 2, 64, 0], 1),
        case("top_odd", [3, 3, 7, 0], 5),
        case("top_many", [6, 2, 16, 0], 64),
        case("top_very_many", [3, 1, 16, 0], 300).tokens(430),
        case("top_many_ties", [4, 2, 16, 0], 100)
            .score(steps())
            .streams(&[], &[1])
            .tokens(430),
        case("top_late", [6, 2, 16, 0], 9).predicate(later()),
        case("top_ties", [6, 2, 16, 0], 17).score(steps()).streams(&[], &[1]),
        case("top_window", [6, 2, 16, 0], 16)
            .predicate(window(50.0))
            .tokens(900),
        case("top_sinks", [6, 2, 16, 0], 7)
            .predicate(sinks)
            .score(steps())
            .streams(&[], &[1])
            .tokens(900),
        case("top_keys", [6, 2, 16, 0], 4).clock(Clock::Keys),
        case("top_both", [6, 2, 16, 0], 4).clock(Clock::Both),
        case("top_whole", [6, 2, 16, 0], 4).whole(),
        case("top_three", [6, 2, 16, 0], 5).together(3),
        case("top_two", [8, 2, 16, 0], 40)
            .together(2)
            .score(binary(Max, PairExpr::Score, number(0.0)))
            .predicate(later()),
        case("top_of_many", [64, 1, 7, 0], 9).together(64).clock(Clock::Both),
        case("top_long", [4, 1, 8, 0], 300).together(2).tokens(430),
    ]
}
