//! Parameters of layers: their tensors, their encodings, and what is wrong with them.

use super::builder::Builder;
use crate::{
    diag::Placed,
    model::{
        expand::Instance,
        unread::{self, Reading},
        weights::Param,
    },
};
use seqc_formats::Encoding;
use seqc_ir::ParamSource;
use seqc_passes::plan::native_params;
use std::rc::Rc;

impl Builder<'_> {
    /// Weights that need their scales: which tensors are missing beside them only follows.
    pub(super) fn refuse_quantised(&mut self) {
        if let Some(d) = unread::quantised(self.tensors, &self.model, self.names.file, self.file) {
            self.diagnostics
                .retain(|d| !matches!(d.code, "missing-tensor" | "bad-tensor"));
            self.diagnostics.push(d);
        }
    }

    /// Where the checkpoint has all that is missing, under names that differ by what they begin with.
    pub(super) fn renamed(&self) -> Option<String> {
        let checkpoint = self.tensors.checkpoint.as_ref()?;
        let params = self.model.calls.iter().flat_map(|call| &call.params);
        let names = params.flat_map(|p| &p.tensors).map(String::as_str);
        let missing: Vec<&str> = names.filter(|name| checkpoint.get(name).is_none()).collect();
        unread::prefix(checkpoint, &missing)
    }

    /// Compares how a parameter's tensors are read with how they were read before, where no file says what they are.
    fn readings(&mut self, param: &Param, sizes: &[usize], encoding: Encoding) {
        if self.tensors.checkpoint.is_some() {
            return;
        }
        let tensors = &param.source.tensors;
        let stacked = tensors.len() > 1;
        let shape = if stacked {
            sizes.get(1..).unwrap_or_default()
        } else {
            sizes
        };
        let random = self.tensors.path.is_none();
        // Hundreds of tensors of a stack have the same.
        let whole = Rc::new((tensors.clone(), sizes.to_vec()));
        for tensor in tensors {
            let reading = Reading {
                shape: shape.to_vec(),
                whole: whole.clone(),
                encoding,
                param: param.source.name.clone(),
                place: param.place,
            };
            let Some(before) = self.readings.get(tensor) else {
                self.readings.insert(tensor.clone(), reading);
                continue;
            };
            self.diagnostics.extend(reading.conflict(before, tensor, random));
        }
    }

    /// Sources and encodings of the parameters of a layer whose graph has the number `at`.
    pub(super) fn params(&mut self, instance: &Instance, at: usize) -> (Vec<ParamSource>, Vec<Encoding>) {
        let mut sources = Vec::new();
        let mut encodings = Vec::new();
        for (n, port) in self.elaborated[at].graph.params.clone().iter().enumerate() {
            self.wanted += 1;
            self.total.numbers = self.total.numbers.saturating_add(port.ty.len());
            match self.tensors.source(instance, &port.name) {
                Ok(param) => {
                    let sizes = port.ty.sizes();
                    let encoding = match self.tensors.encoding(&param, &sizes, &mut self.diagnostics) {
                        Encoding::F32 => Encoding::F32,
                        stored if self.native(at)[n] => stored,
                        _ => Encoding::F32,
                    };
                    self.readings(&param, &sizes, encoding);
                    encodings.push(encoding);
                    self.total.tensors += param.source.tensors.len();
                    sources.push(param.source);
                }
                Err(d) => {
                    if self.known.insert((d.place(), d.message.clone())) {
                        self.diagnostics.push(d);
                    }
                }
            }
        }
        (sources, encodings)
    }

    /// Which parameters of a graph keep the encoding of their tensors: what the passes make of it decides.
    fn native(&mut self, at: usize) -> &[bool] {
        let graph = &self.elaborated[at].graph;
        self.natives.entry(at).or_insert_with(|| {
            let mut graph = graph.clone();
            seqc_passes::optimise(&mut graph);
            native_params(&graph)
        })
    }
}
