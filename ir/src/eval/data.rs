//! Values inside the evaluator.

use std::sync::Arc;

/// Elements of one value, shared between the values that only reshape it.
pub(super) type Data = Arc<Vec<f64>>;
