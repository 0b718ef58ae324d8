//! Python's tuples, which the engine does not have: lists that are written with parentheses.

use std::sync::Arc;

use minijinja::{
    Value,
    value::{Enumerator, Object, ObjectRepr, ValueKind},
};

/// A list that does not change.
#[derive(Debug)]
pub(super) struct Tuple(Vec<Value>);

impl Object for Tuple {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

/// The tuple of some values.
pub(super) fn tuple(values: impl IntoIterator<Item = Value>) -> Value {
    Value::from_object(Tuple(values.into_iter().collect()))
}

/// Whether a value is one.
pub(super) fn is_tuple(value: &Value) -> bool {
    value.downcast_object_ref::<Tuple>().is_some()
}

/// Keys and values of a mapping; `None` for anything else.
pub(super) fn pairs(mapping: &Value) -> Option<Vec<Value>> {
    let object = mapping.as_object().filter(|_| mapping.kind() == ValueKind::Map)?;
    let pairs = object.try_iter_pairs()?;
    Some(pairs.map(|(key, value)| tuple([key, value])).collect())
}
