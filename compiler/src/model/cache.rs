//! How a model keeps keys and values: the entries of `cache:`, and the attentions that they apply to.

use super::{cache_type::CacheType, expand::Instance, values::Names};
use crate::{
    diag::{Diagnostic, Placed, nearest},
    elaborate::{CacheUse, Given, Part, PolicyUse},
    known::Known,
    library::{Definition, Library},
    source::Place,
};
use seqc_formats::Encoding;
use seqc_grammar::{
    ast::{DefKind, Ident, Span},
    model::{Cache, Spanned},
};
use seqc_ir::{Model, Op};
use std::sync::Arc;

/// Most attentions that a message lists.
const MOST_LISTED: usize = 6;

/// An entry of `cache:` with everything resolved.
#[derive(Clone, Debug, Default)]
pub struct CacheEntry {
    /// Numbers of the attentions that it applies to; `None`: all.
    pub on: Option<Vec<usize>>,
    /// The same as numbers of layers.
    pub layers: Vec<usize>,
    /// Name of the policy.
    pub policy: Option<String>,
    /// Settings of the policy, in the order of its definition.
    pub settings: Vec<(String, Known)>,
    /// The type of numbers.
    pub ty: Option<String>,
}

/// Which layers of a model have attentions; `calls` are their numbers among the model's.
pub(super) fn attentions(model: &Model, calls: &[usize]) -> Vec<bool> {
    let keeps = |op: &Op| matches!(op, Op::Attend(spec) if spec.has_values());
    let graphs = calls.iter().map(|n| model.graph(&model.calls[*n]));
    graphs.map(|g| g.values().into_iter().any(|v| keeps(g.op(v)))).collect()
}

/// What entries of `cache:` may name.
pub(super) struct Site<'a> {
    pub(super) library: &'a Library,
    pub(super) names: &'a Names,
    /// Whether each layer has an attention.
    pub(super) attentions: &'a [bool],
}

/// What is said of the cache of one layer.
#[derive(Clone, Default)]
struct Said {
    ty: Option<(CacheType, Span)>,
    policy: Option<(PolicyUse, Span)>,
}

impl Site<'_> {
    /// Says of each layer how its attentions keep keys and values. Gives the entries resolved.
    pub(super) fn assign(
        &self,
        entries: &[Cache],
        instances: &mut [Instance],
    ) -> Result<Vec<CacheEntry>, Vec<Diagnostic>> {
        let mut said = vec![Said::default(); instances.len()];
        let (mut resolved, mut problems) = (Vec::new(), self.for_all_twice(entries));
        if !problems.is_empty() {
            return Err(problems);
        }
        for entry in entries {
            match self.entry(entry, instances, &mut said) {
                Ok(entry) => resolved.push(entry),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for (instance, said) in instances.iter_mut().zip(said) {
            match self.used(said) {
                Ok(used) => instance.cache = used.map(Arc::new),
                Err(d) => return Err(one(d)),
            }
        }
        Ok(resolved)
    }

    /// How a layer keeps keys and values, from what was said of it. The clauses of codes become those of its policy.
    fn used(&self, said: Said) -> Result<Option<CacheUse>, Diagnostic> {
        let mut policy = said.policy.map(|(policy, _)| policy);
        let Some((ty, span)) = said.ty else {
            return Ok(policy.map(|policy| CacheUse {
                stored: Encoding::F32,
                ty: None,
                policy: Some(policy),
            }));
        };
        if let Some(codes) = ty.codes() {
            let place = self.place(span);
            policy = Some(match policy {
                Some(mut policy) => {
                    let coded = codes.beside(&policy.part.definition);
                    let coded = coded.ok_or_else(|| self.codes_twice(&policy.part, place))?;
                    policy.part.definition = Arc::new(coded);
                    policy
                }
                None => PolicyUse {
                    part: Part {
                        definition: Arc::new(codes.policy(self.names.file, span)),
                        settings: Vec::new(),
                        place,
                    },
                    layer: 0,
                    layers: 1,
                },
            });
        }
        Ok(Some(CacheUse {
            stored: ty.encoding(),
            ty: Some(ty.name().to_owned()),
            policy,
        }))
    }

    fn codes_twice(&self, policy: &Part, place: Place) -> Diagnostic {
        let name = &policy.definition.def.name;
        let message = format!("`{}` says itself how keys and values are stored", name.text);
        let d = Diagnostic::new("two-policies", place, message);
        let stored = Place::new(policy.definition.file, name.span);
        d.note(stored, "it has `keys` or `values`")
            .help("leave `type` out, or say under `on:` which attentions it is for")
    }

    fn entry(&self, entry: &Cache, instances: &[Instance], said: &mut [Said]) -> Result<CacheEntry, Vec<Diagnostic>> {
        let layers = self.layers(entry, instances)?;
        let ty = entry.ty.as_ref().map(|ty| self.ty(ty)).transpose().map_err(one)?;
        let part = entry.policy.as_ref().map(|name| self.policy(name, entry)).transpose()?;
        let mut problems = Vec::new();
        for (n, layer) in layers.iter().enumerate() {
            let said = &mut said[*layer];
            let path = &instances[*layer].path;
            if let (Some(ty), Some(text)) = (ty, &entry.ty)
                && let Some((_, before)) = said.ty.replace((ty, text.span))
            {
                problems.push(self.twice("types", path, [text.span, before]));
            }
            if let (Some(part), Some(name)) = (&part, &entry.policy) {
                let policy = PolicyUse {
                    part: part.clone(),
                    layer: n,
                    layers: layers.len(),
                };
                if let Some((_, before)) = said.policy.replace((policy, name.span)) {
                    problems.push(self.twice("policies", path, [name.span, before]));
                }
            }
        }
        if !problems.is_empty() {
            problems.truncate(1);
            return Err(problems);
        }
        let number = |layer: &usize| self.attentions[..*layer].iter().filter(|a| **a).count();
        Ok(CacheEntry {
            on: entry.on.as_ref().map(|_| layers.iter().map(number).collect()),
            layers,
            policy: entry.policy.as_ref().map(|name| name.text.clone()),
            settings: Vec::new(),
            ty: entry.ty.as_ref().map(|ty| ty.value.clone()),
        })
    }

    fn place(&self, span: Span) -> Place {
        Place::new(self.names.file, span)
    }

    /// Entries for all attentions that say the same of them as one before.
    fn for_all_twice(&self, entries: &[Cache]) -> Vec<Diagnostic> {
        let spans = |of: fn(&Cache) -> Option<Span>| entries.iter().filter(|e| e.on.is_none()).filter_map(of);
        let types = spans(|entry| Some(entry.ty.as_ref()?.span));
        let policies = spans(|entry| Some(entry.policy.as_ref()?.span));
        let of = |what: &str, all: &[Span]| match all {
            [first, second, ..] => {
                let message = format!("two entries of `cache` give all attentions a {what}");
                let d = Diagnostic::new("two-policies", self.place(*second), message);
                let d = d.note(self.place(*first), "the other one");
                vec![d.help("leave one of them out, or say under `on:` which attentions each is for")]
            }
            _ => Vec::new(),
        };
        let (types, policies): (Vec<_>, Vec<_>) = (types.collect(), policies.collect());
        [of("type", &types), of("policy", &policies)].concat()
    }

    fn twice(&self, what: &str, path: &str, [here, before]: [Span; 2]) -> Diagnostic {
        let message = format!("the cache of `{path}` has two {what}");
        let d = Diagnostic::new("two-policies", self.place(here), message).note(self.place(before), "here before");
        d.help("say under `on:` which attentions each entry is for")
    }

    /// The layers that an entry applies to, in order.
    fn layers(&self, entry: &Cache, instances: &[Instance]) -> Result<Vec<usize>, Vec<Diagnostic>> {
        let with: Vec<usize> = (0..instances.len()).filter(|n| self.attentions[*n]).collect();
        let Some(on) = &entry.on else {
            return match (with.is_empty(), &entry.policy) {
                (true, Some(policy)) => Err(one(self.nothing(policy.span, "no layer of the model has an attention"))),
                _ => Ok(with),
            };
        };
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for text in on {
            match self.named(text, &with, instances) {
                Ok(layers) => found.extend(layers),
                Err(d) => problems.push(d),
            }
        }
        found.sort_unstable();
        found.dedup();
        match problems.is_empty() {
            true if found.is_empty() => Err(one(self.nothing(entry.span, "this entry is for no layer"))),
            true => Ok(found),
            false => Err(problems),
        }
    }

    fn nothing(&self, span: Span, message: &str) -> Diagnostic {
        let d = Diagnostic::new("no-attention", self.place(span), message);
        d.help("`on` takes names of layers that have attentions, and numbers of attentions from 0")
    }

    /// The layers with attentions that a name or number means.
    fn named(&self, text: &Spanned<String>, with: &[usize], instances: &[Instance]) -> Result<Vec<usize>, Diagnostic> {
        if let Ok(n) = text.value.parse::<usize>() {
            let message = format!("the model has {} attentions, and none with the number {n}", with.len());
            let found = with.get(n).map(|layer| vec![*layer]);
            return found.ok_or_else(|| self.no_such(text.span, message).help(listed(with, instances)));
        }
        let name = |layer: usize| instances[layer].layer.definition.def.name.text.as_str();
        let is_meant = |layer: usize| {
            let instance = &instances[layer];
            name(layer) == text.value || instance.path == text.value || instance.label.as_ref() == Some(&text.value)
        };
        let found: Vec<usize> = with.iter().copied().filter(|layer| is_meant(*layer)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        if (0..instances.len()).any(is_meant) {
            let d = self.no_such(text.span, format!("`{}` has no attention", text.value));
            return Err(d.help(listed(with, instances)));
        }
        let mut d = self.no_such(text.span, format!("no layer is called `{}`", text.value));
        let known = with.iter().flat_map(|layer| {
            let instance = &instances[*layer];
            [Some(name(*layer)), instance.label.as_deref(), Some(&instance.path)]
        });
        if let Some(near) = nearest(&text.value, known.flatten()) {
            d = d.help(format!("did you mean `{near}`?"));
        }
        Err(d.help(listed(with, instances)))
    }

    fn no_such(&self, span: Span, message: String) -> Diagnostic {
        Diagnostic::new("no-attention", self.place(span), message)
    }

    fn ty(&self, ty: &Spanned<String>) -> Result<CacheType, Diagnostic> {
        if let Some(known) = CacheType::all().find(|known| known.name() == ty.value) {
            return Ok(known);
        }
        let names: Vec<&str> = CacheType::all().map(CacheType::name).collect();
        let message = format!("there is no type of caches `{}`", ty.value);
        let d = Diagnostic::new("unknown-type", self.place(ty.span), message);
        let is_policy = self.library.names(DefKind::Cache).any(|name| name == ty.value);
        Err(match is_policy {
            true => d.help(format!("it is a policy: `cache: {{policy: {}}}`", ty.value)),
            false => d
                .did_you_mean(&ty.value, names.iter().copied())
                .help(format!("the types are {}", names.join(", "))),
        })
    }

    /// The policy of an entry with its settings.
    fn policy(&self, name: &Ident, entry: &Cache) -> Result<Part, Vec<Diagnostic>> {
        let definition = self.library.named(&name.text, DefKind::Cache).ok_or_else(|| {
            let d = Diagnostic::new("unknown-policy", self.place(name.span), format!("there is no cache `{}`", name.text));
            let d = d.did_you_mean(&name.text, self.library.names(DefKind::Cache));
            one(match d.help.is_empty() {
                true => d.help("a cache is defined in a file under `use:`, `cache NAME(; …) { … }`; docs/caches.md lists those of the library"),
                false => d,
            })
        })?;
        let (mut settings, mut problems) = (Vec::new(), Vec::new());
        for (setting, value) in &entry.settings {
            if !definition.def.settings.iter().any(|s| s.name.text == setting.text) {
                problems.push(self.unknown_setting(name, setting, definition));
                continue;
            }
            match self.names.setting(value, setting, definition, self.library) {
                Ok(known) => settings.push((
                    setting.text.clone(),
                    Given {
                        value: known,
                        place: self.place(value.span),
                    },
                )),
                Err(d) => problems.push(d),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Part {
            definition: definition.clone(),
            settings,
            place: self.place(name.span),
        })
    }

    fn unknown_setting(&self, name: &Ident, setting: &Ident, definition: &Definition) -> Diagnostic {
        let known = definition.def.settings.iter().map(|s| s.name.text.as_str());
        let message = format!("`{}` has no setting `{}`", name.text, setting.text);
        let d = Diagnostic::new("unknown-setting", self.place(setting.span), message);
        d.did_you_mean(&setting.text, known)
    }
}

fn one(d: Diagnostic) -> Vec<Diagnostic> {
    vec![d]
}

/// The attentions of a model with their numbers, as far as they are few.
fn listed(with: &[usize], instances: &[Instance]) -> String {
    let numbered = |(n, layer): (usize, &usize)| format!("{n} `{}`", instances[*layer].path);
    let mut all: Vec<String> = with.iter().enumerate().map(numbered).collect();
    if all.len() > MOST_LISTED {
        all.splice(MOST_LISTED - 2..all.len() - 1, ["…".to_owned()]);
    }
    match all.is_empty() {
        true => "the model has no attentions".to_owned(),
        false => format!("the attentions are {}", all.join(", ")),
    }
}

/// Fills in the values of all settings: those that are the same for all attentions of an entry.
pub(super) fn fill_in(entries: &mut [CacheEntry], policies: &[Vec<(String, Known)>]) {
    for entry in entries {
        let Some((first, rest)) = entry.layers.split_first() else {
            continue;
        };
        let same = |setting: &&(String, Known)| rest.iter().all(|layer| policies[*layer].contains(setting));
        entry.settings = policies[*first].iter().filter(same).cloned().collect();
    }
}

/// A warning where a type is given and there is nothing that has it.
pub(super) fn unused_type(model: &Model, names: &Names, entries: &[Cache]) -> Option<Diagnostic> {
    let ty = entries.iter().find_map(|cache| cache.ty.as_ref())?;
    let graphs = model.kinds.iter().map(|kind| &kind.graph);
    let keeps = graphs
        .into_iter()
        .any(|g| g.values().into_iter().any(|v| matches!(g.op(v), Op::Attend(_))));
    (!keeps).then(|| {
        let d = Diagnostic::warning("no-cache", "no layer of the model keeps keys and values");
        d.label(names.file, ty.span, "nothing has this type")
    })
}
