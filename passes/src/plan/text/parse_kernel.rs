//! Parsing of kernels and of the matrix form of scans.

use super::parse::PlanParser;
use crate::{
    affine::AffineExpr,
    plan::{
        Chunked, Correction, Costs, Factor, Query, ScanBlock, Term, Write,
        types::{Kernel, Matmul, Scan},
    },
};
use seqc_ir::text::{ParseError, Token};

impl PlanParser<'_> {
    /// Reads kernels up to the brace behind them.
    pub(super) fn kernels(&mut self) -> Result<Vec<Kernel>, ParseError> {
        let mut kernels = Vec::new();
        while *self.text.peek() != Token::Mark('}') {
            kernels.push(self.kernel()?);
        }
        Ok(kernels)
    }

    fn kernel(&mut self) -> Result<Kernel, ParseError> {
        let place = self.text.here();
        let word = self.text.word("a kernel")?;
        match word.as_str() {
            "matmuls" => self.block(PlanParser::matmuls).map(Kernel::Matmuls),
            "map" => self.block(PlanParser::nests).map(Kernel::Map),
            "scan" => self.scan().map(Kernel::Scan),
            "attend" => self.value().map(Kernel::Attend),
            "long_conv" => self.value().map(Kernel::LongConv),
            "reverse" => self.value().map(Kernel::Reverse),
            "round_row" => self.value().map(Kernel::RoundRow),
            "heads" => self.heads(),
            "loop" => self.block(PlanParser::kernels).map(Kernel::Loop),
            "commit" => self.several(PlanParser::state).map(Kernel::Commit),
            _ => Err(self.text.error_at(place, format!("`{word}` is not a kernel"))),
        }
    }

    /// `{ … }`
    pub(super) fn block<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        self.text.expect('{')?;
        let found = body(self)?;
        self.text.expect('}')?;
        Ok(found)
    }

    /// `product %3, %4 { … }`
    fn matmuls(&mut self) -> Result<Vec<Matmul>, ParseError> {
        let mut matmuls = Vec::new();
        while self.text.eat_word("product") {
            let products = self.several(PlanParser::value)?;
            let epilogue = match *self.text.peek() == Token::Mark('{') {
                true => self.block(PlanParser::nests)?,
                false => Vec::new(),
            };
            matmuls.push(Matmul { products, epilogue });
        }
        Ok(matmuls)
    }

    /// `4 @0, @1 { … scan … { … } }`
    fn heads(&mut self) -> Result<Kernel, ParseError> {
        let heads = self.text.count()?;
        let states = self.several(PlanParser::state)?;
        self.block(|p| {
            let nests = p.nests()?;
            let chunked = match p.text.eat_word("scan") {
                true => Some(p.scan()?),
                false => None,
            };
            Ok(Kernel::Heads {
                heads,
                nests,
                states,
                chunked,
            })
        })
    }

    /// `@0 kept [0] reduced [1] lanes=32 entries=16 in_registers { … matrix … }`
    fn scan(&mut self) -> Result<Scan, ParseError> {
        let states = self.several(PlanParser::state)?;
        self.text.expect_word("kept")?;
        let kept = self.counts()?;
        self.text.expect_word("reduced")?;
        let reduced = self.counts()?;
        let block = self.scan_block()?;
        self.block(|p| {
            let outputs = p.nests()?;
            let chunked = match p.text.eat_word("matrix") {
                true => Some(p.matrix_form()?),
                false => None,
            };
            Ok(Scan {
                states,
                kept,
                reduced,
                outputs,
                block,
                chunked,
            })
        })
    }

    fn scan_block(&mut self) -> Result<ScanBlock, ParseError> {
        let place = self.text.here();
        let lanes = self.text.setting("lanes")?;
        let lanes = u32::try_from(lanes).map_err(|_| self.text.error_at(place, "too many lanes"))?;
        Ok(ScanBlock {
            lanes,
            entries: self.text.setting("entries")?,
            in_registers: self.text.eat_word("in_registers"),
        })
    }

    /// `shared=4 block=16 shortest=64 by_tokens=120.0 products=80.0 { … }`
    fn matrix_form(&mut self) -> Result<Chunked, ParseError> {
        let (shared, block) = (self.text.setting("shared")?, self.text.setting("block")?);
        let shortest = self.option("shortest", |p| p.text.count())?;
        let costs = Costs {
            by_tokens: self.cost("by_tokens")?,
            products: self.cost("products")?,
        };
        let diagonal = self.text.eat_word("diagonal");
        self.block(|p| {
            let decay = p.factors("decay")?;
            let (mut queries, mut writes) = (Vec::new(), Vec::new());
            while p.text.at_word("query") {
                queries.push(p.query()?);
            }
            while p.text.at_word("key") {
                writes.push(p.write()?);
            }
            Ok(Chunked {
                decay,
                diagonal,
                writes,
                queries,
                shared,
                block,
                shortest,
                costs,
            })
        })
    }

    /// `query %40 of previous = %5[i0, i2]`
    fn query(&mut self) -> Result<Query, ParseError> {
        self.text.expect_word("query")?;
        let sum = self.value()?;
        let reads_previous = self.text.eat_word("of");
        if reads_previous {
            self.text.expect_word("previous")?;
        }
        Ok(Query {
            factors: self.product()?,
            reads_previous,
            sum,
        })
    }

    /// `key = %3[i0, i2] value minus = %4[i0, i1] gain = %5[i0] probe = %6[i0, i2] after=1`
    fn write(&mut self) -> Result<Write, ParseError> {
        let key = self.factors("key")?;
        let value = match self.text.at_word("value") {
            true => Some(self.term("value")?),
            false => None,
        };
        let correction = match self.text.at_word("gain") {
            true => Some(Correction {
                gain: self.term("gain")?,
                probe: self.factors("probe")?,
                after: self.option("after", |p| p.text.count())?.unwrap_or(0),
            }),
            false => None,
        };
        Ok(Write { key, value, correction })
    }

    /// `name = …` or `name minus = …`
    fn term(&mut self, name: &str) -> Result<Term, ParseError> {
        self.text.expect_word(name)?;
        let negative = self.text.eat_word("minus");
        let factors = self.product()?;
        Ok(Term { factors, negative })
    }

    /// `name=120.0`
    fn cost(&mut self, name: &str) -> Result<f64, ParseError> {
        self.text.expect_word(name)?;
        self.text.expect('=')?;
        self.text.real()
    }

    /// `name = %3[i0] * %4[i0, i1 / 4] is false`, or `name = 1`
    fn factors(&mut self, name: &str) -> Result<Vec<Factor>, ParseError> {
        self.text.expect_word(name)?;
        self.product()
    }

    /// `= %3[i0] * …`
    fn product(&mut self) -> Result<Vec<Factor>, ParseError> {
        self.text.expect('=')?;
        if matches!(self.text.peek(), Token::Number(one) if one == "1") {
            self.text.advance();
            return Ok(Vec::new());
        }
        let mut factors = vec![self.factor()?];
        while self.text.eat('*') {
            factors.push(self.factor()?);
        }
        Ok(factors)
    }

    fn factor(&mut self) -> Result<Factor, ParseError> {
        let value = self.value()?;
        let coords = self.text.list('[', ']', AffineExpr::read)?;
        let keeps = match self.text.eat_word("is") {
            true => Some(self.text.one_of("true or false", |word| word.parse().ok())?),
            false => None,
        };
        Ok(Factor { value, coords, keeps })
    }
}
