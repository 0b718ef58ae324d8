//! Why a recurrence cannot run in a form.

use std::fmt;

/// The reasons, each with its name in plans and its description.
macro_rules! misfits {
    ($($(#[$doc:meta])* $variant:ident $name:literal $says:literal;)*) => {
        /// Why a recurrence cannot run in a form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Misfit {
            $($(#[$doc])* $variant,)*
        }

        impl Misfit {
            /// All of them.
            pub const ALL: &[Misfit] = &[$(Misfit::$variant),*];

            /// Its name in plans.
            pub fn name(self) -> &'static str {
                match self {
                    $(Misfit::$variant => $name,)*
                }
            }

            /// Its description, a clause.
            fn says(self) -> &'static str {
                match self {
                    $(Misfit::$variant => $says,)*
                }
            }
        }
    };
}

misfits! {
    /// Some value of it is not computed entry by entry.
    EntriesDepend "entries_depend" "an entry of its state depends on other entries of the previous state";
    /// Its state is too large to be stored for every token.
    LargeState "large_state" "its state is too large to be stored for every token";
    /// Two recurrences would be computed in one kernel.
    Entangled "entangled" "another recurrence would have to run in the same kernel";
    /// It reads values of another recurrence that are not stored.
    ReadsInside "reads_inside" "it reads values of another recurrence that are not stored";
    /// Its results read the state along different axes, or at computed indices.
    ReadsDiffer "reads_differ" "its results read the state along different axes or at computed indices";
    /// What it reads is computed from its own results.
    WaitsForItself "waits_for_itself" "its inputs depend on its own results";
    /// Some value of the loop reads what another head computes, or there is one head.
    HeadsDepend "heads_depend" "its first axis is not an axis of several independent heads";
    /// It is one of the recurrences of a larger loop over tokens.
    InsideLoop "inside_loop" "it is part of a larger loop over tokens";
    /// Its loop has kernels of their own inside: products, scans or attention.
    OtherKernels "other_kernels" "its loop contains products with parameters, scans or attention";
    /// It has several states.
    SeveralStates "several_states" "it has several states";
    /// Its state is no matrix of keys by values for each head that results sum over the keys.
    NoMatrix "no_matrix" "its state is not a key-value matrix whose keys are contracted with a query";
    /// Its next state is no decay times the previous one plus a few products of keys and values.
    NotDecayAndProduct "not_decay_and_product" "the next state is not a decay per head or key times the state plus outer products of keys and values, at most 8";
    /// Its values are corrected, and not by one sum over a state of the same token or the previous one.
    OtherCorrection "other_correction" "the correction of its values is not a single contraction with the state";
    /// Its values are corrected by what the state holds.
    Corrected "corrected" "its values are corrected by the state (delta rule)";
    /// Its values are not corrected by what the state holds.
    NotCorrected "not_corrected" "its values are not corrected by the state (no delta rule)";
    /// Its results read the state otherwise than through a few sums of products with a query.
    OtherReads "other_reads" "its results are not contractions of the state with queries, at most 4";
    /// Decay, key or query depend on the entry of the value.
    EntriesOfValues "entries_of_values" "decay, key or query depend on the value axis";
    /// Its next state is stored for every token, since it is small or read elsewhere.
    StateStored "state_stored" "its state is stored for every token";
    /// The loop computes values that are read outside of it.
    ValuesEscape "values_escape" "the loop computes values that are read outside of it";
}

impl Misfit {
    /// The reason of this name.
    pub fn named(name: &str) -> Option<Misfit> {
        Misfit::ALL.iter().copied().find(|misfit| misfit.name() == name)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.says())
    }
}
