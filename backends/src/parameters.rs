//! Structs for the parameters of generated functions: each has its type, its place in the list and its meaning in one line.

/// A struct of values, one for each parameter of a function, in order, with the list of their types (`TYPES`), the
/// parameters of a function that begins with them (`of`), and the arguments of a call of it (`list`).
macro_rules! parameters {
    ($(#[$about:meta])* struct $name:ident { $($(#[$doc:meta])* $field:ident: $ty:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy)]
        pub(super) struct $name {
            $($(#[$doc])* pub(super) $field: $crate::kernel::Val,)*
        }

        impl $name {
            /// Types of the parameters.
            pub(super) const TYPES: [$crate::kernel::Ty; [$($ty),*].len()] = [$($ty),*];

            /// The parameters of a function that begins with [`Self::TYPES`].
            pub(super) fn of(f: &$crate::kernel::Func) -> $name {
                let [$($field),*] = std::array::from_fn(|n| f.param(n));
                $name { $($field),* }
            }

            /// As arguments of a call.
            pub(super) fn list(&self) -> [$crate::kernel::Val; Self::TYPES.len()] {
                [$(self.$field),*]
            }
        }
    };
}

pub(crate) use parameters;
