//! Values that go in and out of the evaluator, and what can be wrong with them.

/// A tensor of one token, or a parameter, in row-major order. Integers and truth values are numbers too.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Tensor {
    /// Sizes of the axes, outermost first. Empty: a scalar.
    pub shape: Vec<usize>,
    /// The elements; as many as the product of `shape`.
    pub data: Vec<f64>,
}

impl Tensor {
    /// A tensor from its elements. A length that does not fit is refused where the tensor is used.
    pub fn new(shape: &[usize], data: Vec<f64>) -> Tensor {
        Tensor {
            shape: shape.to_vec(),
            data,
        }
    }

    /// A scalar.
    pub fn scalar(value: f64) -> Tensor {
        Tensor {
            shape: Vec::new(),
            data: vec![value],
        }
    }

    /// Zeros.
    pub fn zeros(shape: &[usize]) -> Tensor {
        Tensor::fill(shape, |_| 0.0)
    }

    /// Element `n`, counted in row-major order, is `value(n)`.
    pub fn fill(shape: &[usize], value: impl FnMut(usize) -> f64) -> Tensor {
        Tensor {
            shape: shape.to_vec(),
            data: (0..shape.iter().product()).map(value).collect(),
        }
    }
}

/// Why something cannot be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// The verifier refuses the graph; its reports, one per violation.
    #[error("layer `{graph}` is not well formed:\n{}", violations.join("\n"))]
    Invalid {
        /// Name of the graph.
        graph: String,
        /// One text per violation.
        violations: Vec<String>,
    },
    /// A wrong number of parameters or inputs.
    #[error("layer `{graph}` takes {expected} {what}s, {found} were given")]
    Count {
        /// Name of the graph.
        graph: String,
        /// `parameter` or `input`.
        what: &'static str,
        /// How many the graph declares.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A tensor of the wrong shape.
    #[error(
        "{what} `{name}` of layer `{graph}` has shape {expected:?}, a tensor of shape {found:?} with {len} elements was given"
    )]
    Shape {
        /// Name of the graph.
        graph: String,
        /// `parameter` or `input`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The declared shape.
        expected: Vec<usize>,
        /// The given shape.
        found: Vec<usize>,
        /// The given number of elements.
        len: usize,
    },
    /// A step was asked of a graph that reads later tokens.
    #[error("layer `{graph}` reads later tokens: it has no step for one token")]
    NotCausal {
        /// Name of the graph.
        graph: String,
    },
    /// A recurrence runs through what reads later tokens.
    #[error("in layer `{graph}` what reads later tokens depends on its own result")]
    Circular {
        /// Name of the graph.
        graph: String,
    },
}

/// Checks number and shapes of what is given for the declared ports.
pub(super) fn check(graph: &str, what: &'static str, ports: &[Shape], given: &[Tensor]) -> Result<(), EvalError> {
    if ports.len() != given.len() {
        let graph = graph.to_owned();
        return Err(EvalError::Count {
            graph,
            what,
            expected: ports.len(),
            found: given.len(),
        });
    }
    for (port, tensor) in ports.iter().zip(given) {
        if port.sizes != tensor.shape || tensor.data.len() != port.sizes.iter().product::<usize>() {
            return Err(EvalError::Shape {
                graph: graph.to_owned(),
                what,
                name: port.name.clone(),
                expected: port.sizes.clone(),
                found: tensor.shape.clone(),
                len: tensor.data.len(),
            });
        }
    }
    Ok(())
}

/// A parameter or input.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) sizes: Vec<usize>,
}
