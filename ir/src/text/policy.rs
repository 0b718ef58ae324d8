//! The text form of cache policies: a list of parts in parentheses.

use super::{ParseError, cursor::Parser, print::Number};
use crate::{
    PairExpr, ReduceOp,
    policy::{Along, Blocks, Channels, Coding, Definition, Eviction, Kind, Policy, Recurrence, Sight, Turn, Window},
};
use std::fmt::{self, Display, Formatter};

impl Display for Policy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        let recurrences = [("counter", &self.counters), ("memory", &self.memories)];
        for (word, list) in recurrences {
            for Recurrence { name, init, next, each } in list {
                let each = if *each { " each" } else { "" };
                parts.push(format!("{word} {name:?} init={} next={next}{each}", Number(*init)));
            }
        }
        for Definition { name, kind } in &self.definitions {
            parts.push(format!("define {name:?} {kind}"));
        }
        parts.extend(self.blocks.as_ref().map(|blocks| format!("blocks {blocks}")));
        if let Some(Eviction { at, keep }) = &self.evict {
            parts.push(format!("evict at={at} keep={keep}"));
        }
        for Sight { seen, query, key } in &self.sights {
            let seen = seen.as_ref().map_or_else(String::new, |e| format!("where={e} "));
            parts.push(format!("see {seen}query={query} key={key}"));
        }
        for (word, coding) in [("keys", &self.keys), ("values", &self.values)] {
            parts.extend(coding.as_ref().map(|coding| format!("{word} {coding}")));
        }
        if let Some(turn) = self.turn {
            let magnitude = Number(turn.magnitude);
            let (pairs, interleaved) = (turn.pairs, turn.interleaved);
            parts.push(format!(
                "turn pairs={pairs} interleaved={interleaved} magnitude={magnitude}"
            ));
        }
        write!(f, "({})", parts.join(", "))
    }
}

impl Display for Blocks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "size={} first={} behind={}", self.size, self.first, self.behind)?;
        write!(f, " together={} refresh={}", self.together, self.refresh)?;
        for (word, at) in [("key", &self.key), ("query", &self.query)] {
            if let Some(at) = at {
                write!(f, " {word}={at}")?;
            }
        }
        let mut parts = Vec::new();
        for (word, list) in [("closing", &self.closing), ("choosing", &self.choosing)] {
            let text = |Definition { name, kind }: &Definition| format!("{word} {name:?} {kind}");
            parts.extend(list.iter().map(text));
        }
        write!(f, " ({})", parts.join(", "))
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Entry(e) => write!(f, "entry of={e}"),
            Kind::Pool { of, window, how, among } => {
                let Window { size, pages } = window;
                write!(f, "pool of={of} size={size} how={} among={among}", how.name())?;
                if *pages { write!(f, " pages=true") } else { Ok(()) }
            }
            Kind::Top {
                by,
                count,
                among,
                heads,
            } => {
                write!(f, "top by={by} count={count} among={among}")?;
                if *heads { write!(f, " heads=true") } else { Ok(()) }
            }
            Kind::Over { of, how, among } => write!(f, "over of={of} how={} among={among}", how.name()),
            Kind::Fewest { of, sum, among } => write!(f, "fewest of={of} sum={sum} among={among}"),
            Kind::Seen { queries } => write!(f, "seen queries={queries}"),
            Kind::VectorSum { of, values } => write!(f, "vector_sum of={of} values={values}"),
            Kind::Channel(e) => write!(f, "channel of={e}"),
            Kind::KeyMean(e) => write!(f, "key_mean of={e}"),
            Kind::QueryMean { of, queries } => write!(f, "query_mean of={of} queries={queries}"),
            Kind::Within => write!(f, "within"),
            Kind::Fold { of, how, among, values } => {
                write!(f, "fold of={of} how={} among={among} values={values}", how.name())
            }
            Kind::QuerySum { of, over } => write!(f, "query_sum of={of} how={}", over.name()),
            Kind::EntrySum { of, entries, over } => {
                write!(f, "entry_sum of={of} how={} how={}", entries.name(), over.name())
            }
            Kind::Search { by, count } => write!(f, "search by={by} count={count}"),
            Kind::QueryFold { of, over, mean } => write!(f, "query_fold of={of} how={} mean={mean}", over.name()),
            Kind::Heads { of, how, members } => write!(f, "heads of={of} how={} members={members}", how.name()),
        }
    }
}

impl Display for Coding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(until) = &self.until {
            write!(f, "until={until} ")?;
        }
        if self.from > 0 {
            write!(f, "from={} ", self.from)?;
        }
        let along = self.along.name();
        write!(
            f,
            "bits={} group={} along={along} symmetric={}",
            self.bits, self.group, self.symmetric
        )?;
        match &self.channels {
            Some(Channels { by, count }) => write!(f, " best={by} count={count}"),
            None => Ok(()),
        }
    }
}

impl Parser {
    /// Reads what [`Policy`] prints.
    pub(super) fn policy(&mut self) -> Result<Policy, ParseError> {
        let mut policy = Policy::default();
        self.list('(', ')', |p| p.policy_part(&mut policy))?;
        Ok(policy)
    }

    fn policy_part(&mut self, policy: &mut Policy) -> Result<(), ParseError> {
        let place = self.here();
        let word = self.word("a part of a policy")?;
        match word.as_str() {
            "counter" => policy.counters.push(self.recurrence()?),
            "memory" => policy.memories.push(self.recurrence()?),
            "define" => {
                let name = self.name()?;
                let kind = self.kind()?;
                policy.definitions.push(Definition { name, kind });
            }
            "blocks" => policy.blocks = Some(self.blocks()?),
            "evict" => {
                policy.evict = Some(Eviction {
                    at: self.part("at")?,
                    keep: self.part("keep")?,
                });
            }
            "see" => {
                let seen = self.part_if("where")?;
                policy.sights.push(Sight {
                    seen,
                    query: self.part("query")?,
                    key: self.part("key")?,
                });
            }
            "keys" => policy.keys = Some(self.coding()?),
            "values" => policy.values = Some(self.coding()?),
            "turn" => {
                policy.turn = Some(Turn {
                    pairs: self.setting("pairs")?,
                    interleaved: self.flag("interleaved")?,
                    magnitude: {
                        self.expect_word("magnitude")?;
                        self.expect('=')?;
                        self.real()?
                    },
                });
            }
            _ => return Err(self.error_at(place, format!("`{word}` is no part of a policy"))),
        }
        Ok(())
    }

    fn recurrence(&mut self) -> Result<Recurrence, ParseError> {
        let name = self.name()?;
        self.expect_word("init")?;
        self.expect('=')?;
        let init = self.real()?;
        let next = self.part("next")?;
        let each = self.at_word("each");
        if each {
            self.expect_word("each")?;
        }
        Ok(Recurrence { name, init, next, each })
    }

    fn blocks(&mut self) -> Result<Blocks, ParseError> {
        let (size, first, behind) = (self.setting("size")?, self.setting("first")?, self.setting("behind")?);
        let (together, refresh) = (self.setting("together")?, self.setting("refresh")?);
        let (key, query) = (self.part_if("key")?, self.part_if("query")?);
        let (mut closing, mut choosing) = (Vec::new(), Vec::new());
        self.list('(', ')', |p| {
            let word = p.one_of("`closing` or `choosing`", |w| {
                ["closing", "choosing"].iter().position(|x| *x == w)
            })?;
            let (name, kind) = (p.name()?, p.kind()?);
            let list = if word == 0 { &mut closing } else { &mut choosing };
            list.push(Definition { name, kind });
            Ok(())
        })?;
        Ok(Blocks {
            size,
            first,
            behind,
            together,
            refresh,
            key,
            query,
            closing,
            choosing,
        })
    }

    /// `name=expression`, if that is what follows.
    fn part_if(&mut self, name: &str) -> Result<Option<PairExpr>, ParseError> {
        self.at_word(name).then(|| self.part(name)).transpose()
    }

    fn kind(&mut self) -> Result<Kind, ParseError> {
        let place = self.here();
        let word = self.word("a definition of a policy")?;
        Ok(match word.as_str() {
            "entry" => Kind::Entry(self.part("of")?),
            "pool" => {
                let (of, size) = (self.setting("of")?, self.setting("size")?);
                let (how, among) = (self.how()?, self.part("among")?);
                let pages = self.at_word("pages") && self.flag("pages")?;
                let window = Window { size, pages };
                Kind::Pool { of, window, how, among }
            }
            "top" => Kind::Top {
                by: self.part("by")?,
                count: self.part("count")?,
                among: self.part("among")?,
                heads: self.at_word("heads") && self.flag("heads")?,
            },
            "over" => Kind::Over {
                of: self.part("of")?,
                how: self.how()?,
                among: self.part("among")?,
            },
            "fewest" => Kind::Fewest {
                of: self.part("of")?,
                sum: self.part("sum")?,
                among: self.part("among")?,
            },
            "seen" => Kind::Seen {
                queries: self.setting("queries")?,
            },
            "vector_sum" => Kind::VectorSum {
                of: self.part("of")?,
                values: self.flag("values")?,
            },
            "channel" => Kind::Channel(self.part("of")?),
            "key_mean" => Kind::KeyMean(self.part("of")?),
            "within" => Kind::Within,
            "fold" => Kind::Fold {
                of: self.part("of")?,
                how: self.how()?,
                among: self.part("among")?,
                values: self.flag("values")?,
            },
            "query_sum" => Kind::QuerySum {
                of: self.part("of")?,
                over: self.how()?,
            },
            "entry_sum" => Kind::EntrySum {
                of: self.part("of")?,
                entries: self.how()?,
                over: self.how()?,
            },
            "search" => Kind::Search {
                by: self.part("by")?,
                count: self.setting("count")?,
            },
            "query_fold" => Kind::QueryFold {
                of: self.part("of")?,
                over: self.how()?,
                mean: self.flag("mean")?,
            },
            "heads" => Kind::Heads {
                of: self.part("of")?,
                how: self.how()?,
                members: self.flag("members")?,
            },
            "query_mean" => Kind::QueryMean {
                of: self.part("of")?,
                queries: self.setting("queries")?,
            },
            _ => return Err(self.error_at(place, format!("`{word}` is no definition of a policy"))),
        })
    }

    fn coding(&mut self) -> Result<Coding, ParseError> {
        let until = self.part_if("until")?;
        let from = match self.at_word("from") {
            true => self.setting("from")?,
            false => 0,
        };
        let (bits, group) = (self.setting("bits")?, self.setting("group")?);
        self.expect_word("along")?;
        self.expect('=')?;
        let along = self.one_of("`channels` or `tokens`", Along::from_name)?;
        let symmetric = self.flag("symmetric")?;
        let channels = if self.at_word("best") {
            Some(Channels {
                by: self.setting("best")?,
                count: self.setting("count")?,
            })
        } else {
            None
        };
        Ok(Coding {
            until,
            from,
            bits,
            group,
            along,
            symmetric,
            channels,
        })
    }

    /// `name=expression`
    fn part(&mut self, name: &str) -> Result<PairExpr, ParseError> {
        self.expect_word(name)?;
        self.expect('=')?;
        self.score_expr(0)
    }

    fn flag(&mut self, name: &str) -> Result<bool, ParseError> {
        self.expect_word(name)?;
        self.expect('=')?;
        self.one_of("true or false", |w| w.parse().ok())
    }

    fn how(&mut self) -> Result<ReduceOp, ParseError> {
        self.expect_word("how")?;
        self.expect('=')?;
        self.one_of("a reduction", ReduceOp::from_name)
    }
}
