//! Calls, blocks, loops and branches; what is without blocks is done lane by lane.

use super::{
    code::Code,
    fault::Fault,
    program::Interpreter,
    scalar,
    team::{Meeting, Member},
};
use crate::{Block, For, If, Inst, Ty, Val, text};
use seqc_abi::symbols;

type Result<T> = std::result::Result<T, Box<Fault>>;

/// Calls within calls, at most: kernels do not recurse.
const DEPTH: usize = 100;

/// Calls a function with one word for each argument.
pub(super) fn call(
    interpreter: &Interpreter<'_>,
    member: &mut Member<'_>,
    name: &str,
    args: &[u64],
) -> std::result::Result<u64, Fault> {
    let unknown = || Fault {
        function: name.to_owned(),
        inst: format!("call @{name}"),
        message: "there is no such function, or it takes other arguments".to_owned(),
    };
    let code = interpreter.code.get(name).ok_or_else(unknown)?;
    let words: u32 = code.func.params.iter().map(|v| v.ty.lanes()).sum();
    if words as usize != args.len() {
        return Err(unknown());
    }
    let mut run = Run {
        interpreter,
        member,
        code,
        words: Vec::new(),
        base: 0,
        depth: 0,
        stack: Vec::new(),
        result: Vec::new(),
    };
    run.function(code, args).map_err(|fault| *fault)?;
    Ok(run.result.first().copied().unwrap_or(0))
}

/// A thread that runs.
pub(super) struct Run<'r, 'm, 't> {
    interpreter: &'r Interpreter<'m>,
    pub(super) member: &'r mut Member<'t>,
    /// The function that runs.
    code: &'r Code<'m>,
    /// Frames of all active functions, consecutive.
    pub(super) words: Vec<u64>,
    /// Where the innermost begins.
    base: usize,
    depth: usize,
    /// Stack memory of the function that runs.
    pub(super) stack: Vec<u64>,
    /// What the last function returned.
    result: Vec<u64>,
}

impl<'r, 'm> Run<'r, 'm, '_> {
    /// First word of a value.
    pub(super) fn place(&self, v: Val) -> usize {
        self.base + self.code.place(v)
    }

    /// The word of a scalar.
    pub(super) fn scalar(&self, v: Val) -> u64 {
        self.words[self.place(v)]
    }

    /// Lane `l` of a value.
    pub(super) fn lane(&self, v: Val, l: usize) -> u64 {
        self.words[self.place(v) + l]
    }

    /// All lanes of a value.
    pub(super) fn lanes(&self, v: Val) -> &[u64] {
        let place = self.place(v);
        &self.words[place..place + v.ty.lanes() as usize]
    }

    /// Sets a value to the result of a function of each lane.
    pub(super) fn set(&mut self, out: Val, lane: impl Fn(&Self, usize) -> u64) {
        let place = self.place(out);
        for l in 0..out.ty.lanes() as usize {
            let word = lane(self, l);
            self.words[place + l] = word;
        }
    }

    fn copy(&mut self, from: &[Val], to: &[Val]) {
        let words: Vec<u64> = from.iter().flat_map(|v| self.lanes(*v)).copied().collect();
        let mut at = 0;
        for v in to {
            let (place, n) = (self.place(*v), v.ty.lanes() as usize);
            self.words[place..place + n].copy_from_slice(&words[at..at + n]);
            at += n;
        }
    }

    fn fault(&self, inst: &Inst, message: String) -> Box<Fault> {
        Box::new(Fault {
            function: self.code.func.name.clone(),
            inst: text::line(self.code.func, inst),
            message,
        })
    }

    /// Runs a function; its result is in `self.result`.
    fn function(&mut self, code: &'r Code<'m>, args: &[u64]) -> Result<()> {
        let outer = (self.code, self.base, std::mem::take(&mut self.stack));
        (self.code, self.base) = (code, self.words.len());
        self.depth += 1;
        self.words.extend_from_slice(&code.frame);
        let base = self.base;
        self.words[base..base + args.len()].copy_from_slice(args);
        self.result.clear();
        let func = code.func;
        for inst in func.instructions() {
            self.inst(inst)?;
        }
        for address in std::mem::take(&mut self.stack) {
            self.member.memory().free(address);
        }
        self.words.truncate(base);
        (self.code, self.base, self.stack) = outer;
        self.depth -= 1;
        Ok(())
    }

    fn block(&mut self, block: &Block) -> Result<()> {
        block.insts.iter().try_for_each(|inst| self.inst(inst))
    }

    fn inst(&mut self, inst: &Inst) -> Result<()> {
        match inst {
            Inst::Const { .. } => Ok(()),
            Inst::For(l) => self.for_loop(inst, l),
            Inst::If(i) => self.if_else(i),
            Inst::Call { out, callee, args } => {
                self.call(inst, callee, args)?;
                if let Some(out) = out {
                    let result = std::mem::take(&mut self.result);
                    self.set(*out, |_, l| result[l]);
                }
                Ok(())
            }
            Inst::CallPointer { .. } => Err(self.fault(inst, "calls through a pointer".to_owned())),
            Inst::Return(v) => {
                self.result = self.lanes(*v).to_vec();
                Ok(())
            }
            _ => self.plain(inst).map_err(|message| self.fault(inst, message)),
        }
    }

    fn for_loop(&mut self, inst: &Inst, l: &For) -> Result<()> {
        let [mut i, high, step] = [l.low, l.high, l.step].map(|v| self.scalar(v) as i64);
        if step <= 0 {
            return Err(self.fault(inst, format!("steps by {step}")));
        }
        self.copy(&l.init, &l.carried);
        let iv = self.place(l.iv);
        while i < high {
            self.words[iv] = i as u64;
            self.block(&l.body)?;
            self.copy(&l.body.yields, &l.carried);
            i = i.saturating_add(step);
        }
        self.copy(&l.carried, &l.out);
        Ok(())
    }

    fn if_else(&mut self, i: &If) -> Result<()> {
        let block = if self.scalar(i.cond) & 1 == 1 {
            &i.then
        } else {
            &i.otherwise
        };
        self.block(block)?;
        self.copy(&block.yields, &i.out);
        Ok(())
    }

    fn call(&mut self, inst: &Inst, callee: &str, args: &[Val]) -> Result<()> {
        let words: Vec<u64> = args.iter().flat_map(|v| self.lanes(*v)).copied().collect();
        let interpreter = self.interpreter;
        if let Some(code) = interpreter.code.get(callee) {
            return match self.depth < DEPTH {
                true => self.function(code, &words),
                false => Err(self.fault(inst, "recurses".to_owned())),
            };
        }
        if let Some(host) = self.interpreter.hosts.get(callee) {
            self.result = vec![host(self.member.memory(), &words)];
            return Ok(());
        }
        let goes_on = match callee {
            symbols::BARRIER => self.member.meet(Meeting::Team),
            symbols::BLOCK_BARRIER => self.member.meet(Meeting::Block),
            symbols::BLOCK_MEMORY => {
                self.result = vec![self.member.block_memory()];
                true
            }
            _ => false,
        };
        match goes_on {
            true => Ok(()),
            false => Err(self.fault(
                inst,
                "another thread has stopped, or nothing stands for the function".to_owned(),
            )),
        }
    }

    /// Address of a constant.
    pub(super) fn global(&self, name: &str) -> std::result::Result<u64, String> {
        let place = self.interpreter.globals.get(name);
        place.copied().ok_or_else(|| "is of another module".to_owned())
    }

    /// The scalar of one lane as a signed integer.
    pub(super) fn integer(&self, v: Val, l: usize) -> i64 {
        let word = self.lane(v, l);
        match v.ty {
            Ty::Ptr(_) | Ty::PtrV(..) => word as i64,
            _ => scalar::signed(v.ty.scalar(), word),
        }
    }
}
