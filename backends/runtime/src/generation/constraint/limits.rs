//! What a grammar may take: the bounds of its parser, its text, and the time of a thread.
//!
//! The parser counts what it makes, and so bounds ordinary work. Ambiguous grammars need more time than it counts: the same
//! item is found in many ways. So there are bounds on time as well: not of the clock on the wall, which depends on what
//! else the machine does, but of the processor.

use std::time::Duration;

use llguidance::api::ParserLimits;

/// Memory that a grammar may take, for itself or for the tokens that may come next.
pub(super) const MEMORY: usize = 1 << 30;
/// Bytes of the text of a grammar.
pub(super) const LONGEST_TEXT: usize = 4 << 20;
/// Stack for each byte of a grammar's text: its rules may lead one to the next, and reading them descends with each. The
/// shortest rule is some six bytes long and takes three kilobytes, more without optimisation.
pub(super) const STACK_PER_BYTE: usize = if cfg!(debug_assertions) { 8192 } else { 1024 };
/// Stack for a grammar of any length.
pub(super) const STACK: usize = 8 << 20;
/// To build a grammar.
pub(super) const BUILD_TIME: Duration = Duration::from_secs(10);
/// Grammars that are being built at once, with those that nobody waits for any more, as they took too long.
pub(super) const MOST_BUILT: usize = 4;
/// To take a token and find out which ones may come next.
pub(super) const MASK_TIME: Duration = Duration::from_millis(500);
/// What takes longer does not hold up others: its thread is given to the processor when nobody else wants it.
pub(super) const SLOW: Duration = Duration::from_millis(20);

/// The bounds of the parser.
pub(super) fn of_parser() -> ParserLimits {
    ParserLimits {
        // Those for one mask are some ten milliseconds each. The largest schemas in use need less.
        max_items_in_row: 2000,
        step_max_items: 50_000,
        step_lexer_fuel: 200_000,
        initial_lexer_fuel: 1_000_000,
        // More symbols than it has numbers for are a panic of the parser.
        max_grammar_size: 65_000,
        // A state takes one or two kilobytes.
        max_lexer_states: 50_000,
        precompute_large_lexemes: true,
        verbose_errors: false,
    }
}
